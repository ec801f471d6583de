"""What must be the same for a run to go on: the model's and optimizer's form, and the data."""

import hashlib
import json
import warnings

import keras
import numpy as np

from tfnn.controls import SettableRate, TellingOptimizer
from tfnn.controls.nested import inner_optimizers
from tfnn.data.files import ImageFiles
from tfnn.internals.optimizers import rate_if_any


def fingerprint(model):
    """The form of a compiled model, for JSON: what its state means, not the state itself."""
    weights = [[weight.path, list(weight.shape), weight.dtype, bool(weight.trainable)] for weight in model.weights]
    metrics = [part.name for metric in model.metrics for part in getattr(metric, "metrics", [metric])]
    form = {"weights": weights, "metrics": metrics, "optimizer": optimizer_form(model.optimizer)}
    return form | {"rates": rates_of(model.optimizer, model.weights)}


def differences(meta, model, freezing=False):
    """In words, all in which `model` is another than that of a checkpoint with `meta`; an empty list where it may go on.

    Weights go by order, shape, dtype, name, and by whether they are trained, unless callbacks say that (`freezing`); layers
    that are the same but for Keras's counting (dense, dense_1) agree.
    Numbers that an optimizer keeps in variables, as a learning rate or tfnn's momentum, are state: they are restored.
    """
    ours, theirs = json.loads(json.dumps(fingerprint(model))), meta["fingerprint"]
    found = []
    if len(ours["weights"]) != len(theirs["weights"]):
        found.append(f"the model has {len(ours['weights'])} weights, the checkpoint's {len(theirs['weights'])}")
    else:
        for weight, other in zip(ours["weights"], theirs["weights"]):
            found += weight_differences(weight, other, freezing)
    if ours["metrics"] != theirs["metrics"]:
        found.append(f"metrics are {', '.join(ours['metrics'])}, the checkpoint's {', '.join(theirs['metrics'])}")
    found += optimizer_differences(ours["optimizer"], theirs["optimizer"])
    return found + rate_differences(ours["rates"], theirs.get("rates", ours["rates"]), ours["weights"])


def weight_differences(ours, theirs, freezing):
    (path, shape, dtype, trained), (path_, shape_, dtype_, trained_) = ours, theirs
    if path.rpartition("/")[2] != path_.rpartition("/")[2]:
        return [f"weight {path} stands where the checkpoint's {path_} stood"]
    if shape != shape_:
        return [f"weight {path} has shape {tuple(shape)}, the checkpoint's {tuple(shape_)}"]
    if dtype != dtype_:
        return [f"weight {path} is {dtype}, the checkpoint's {dtype_}"]
    if freezing or trained == trained_:
        return []
    words = {True: "trained", False: "frozen"}
    return [f"weight {path} is {words[trained]}, the checkpoint's is {words[trained_]}"]


# Optimizers ----------------------------------------------------------------------------------------------------------


def optimizer_form(optimizer):
    """[class, {argument: value}, [forms of the optimizers inside]]: the arguments that are not kept in variables."""
    inner, kind = inner_optimizers(optimizer), type(optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a rate that is a lambda
        config = {} if hasattr(optimizer, "optimizers") else optimizer.get_config()
    config.pop("inner_optimizer", None)
    config.pop("name", None)
    rate = rate_if_any(optimizer)
    if isinstance(rate, SettableRate) and rate.followed is not None:
        rate = rate.followed
        config["learning_rate"] = keras.optimizers.schedules.serialize(rate)
    if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        config.pop("learning_rate", None)
    config |= optimizer.form() if isinstance(optimizer, TellingOptimizer) else {}
    return [f"{kind.__module__.partition('.')[0]}.{kind.__name__}", plain(config), [optimizer_form(part) for part in inner]]


def plain(config):
    """As JSON gives it back; an object of the user's is known by its class."""
    other = lambda value: value.item() if isinstance(value, np.generic) else type(value).__name__
    return json.loads(json.dumps(config, default=other))


def optimizer_differences(ours, theirs):
    (kind, config, inner), (kind_, config_, inner_) = ours, theirs
    if kind != kind_:
        return [f"optimizer is {kind}, the checkpoint's {kind_}"]
    changed = [name for name in sorted(config.keys() | config_.keys()) if config.get(name) != config_.get(name)]
    found = [f"optimizer's {name} is {config.get(name)}, the checkpoint's {config_.get(name)}" for name in changed]
    if inner and len(inner) != len(inner_):  # a `MultiOptimizer` of a function knows its own once it is built
        return [*found, f"optimizer holds {len(inner)} others, the checkpoint's {len(inner_)}"]
    return found + [difference for pair in zip(inner, inner_) for difference in optimizer_differences(*pair)]


def rates_of(optimizer, weights):
    """{place among the model's weights: factor} of those that `scale_learning_rate` has learn at a rate of their own."""
    found = {}
    for part in inner_optimizers(optimizer):
        found |= rates_of(part, weights)
    if isinstance(optimizer, TellingOptimizer):
        found |= {str(place): factor for place, factor in enumerate(optimizer.factors(weights)) if factor != 1}
    return found


def rate_differences(ours, theirs, weights):
    """The first weight that differs stands for all: `tfnn.transfer.layerwise_decay` scales them by the hundred."""
    places = [place for place in range(len(weights)) if ours.get(str(place), 1) != theirs.get(str(place), 1)]
    if not places:
        return []
    path, place = weights[places[0]][0], str(places[0])
    more = f" and {len(places) - 1} more are" if len(places) > 1 else " is"
    was = f"{ours.get(place, 1):g} times, the checkpoint's {theirs.get(place, 1):g} times the optimizer's rate"
    return [f"the rate of weight {path}{more} scaled otherwise: {was}; no saved model keeps that, scale it as before"]


# Data ----------------------------------------------------------------------------------------------------------------


def digest(arrays):
    """SHA-256 of a nest of arrays or tensors: of its structure, shapes, dtypes and all contents; of images in files
    those of the files, which are not read for it. 100 MB take 0.06 s."""
    total = hashlib.sha256()
    for path, array in keras.tree.flatten_with_path(arrays):
        if array is None:
            total.update(f"{path} None;".encode())
        else:
            if isinstance(array, ImageFiles):
                array = np.frombuffer(array.digest().encode(), np.uint8)
            array = np.asarray(array, order="C")
            total.update(f"{path} {array.dtype.name} {array.shape};".encode())
            if array.dtype == object:  # strings
                array = np.frombuffer(b"".join(b"%d:%s" % (len(text), text) for text in array.flat), np.uint8)
            total.update(array.reshape(-1).view(np.uint8))
    return total.hexdigest()
