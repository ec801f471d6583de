"""The examples in docstrings run as they stand, each in a fresh folder with the names that it takes for granted."""

import contextlib
import doctest
import functools
import inspect
import io
import pathlib
import sys
import time

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfnn
from tests.transfer import bodies

# Modules that users of the package do not meet.
INSIDE = {"checks", "cli", "files", "internals", "locks", "means", "startup", "taps"}
ROOMS = [tfnn, *(room for name, room in sorted(vars(tfnn).items()) if inspect.ismodule(room) and name not in INSIDE)]

DOWNLOADS = "downloads the data set"
CANNOT_RUN = {
    "tfnn.data.cifar10": DOWNLOADS,
    "tfnn.data.cifar100": DOWNLOADS,
    "tfnn.data.fashion_mnist": DOWNLOADS,
    "tfnn.data.mnist": DOWNLOADS,
    "tfnn.transfer.classifier": "downloads the weights of ImageNet",
}
SLOW = {
    "tfnn.export",  # checks the bundle in a process of its own
    "tfnn.serving.fold_batchnorm",  # a whole MobileNetV2, as the next two
    "tfnn.transfer.backbone",
    "tfnn.transfer.stages",
    "tfnn.transfer.Unfreeze",  # a graph for each of three phases
}
WITHOUT = {"tfnn.random.threefry"}  # the paper's rule, for `uniforms` alone


def public_parts():
    """{qualified name: class or function} of all that the packages of tfnn export and that is tfnn's own."""
    parts = {}
    for room in ROOMS:
        for name, part in vars(room).items():
            ours = (inspect.isclass(part) or inspect.isfunction(part)) and part.__module__.startswith("tfnn")
            if ours and not name.startswith("_") and part not in parts.values():
                parts[f"{room.__name__}.{name}"] = part
    return parts


def parts_with_an_example():
    """The public parts, and those inside tfnn, by the names of their modules, that have an example, too."""
    public = public_parts()
    inside = {
        f"{part.__module__}.{part.__qualname__}": part
        for module in [module for name, module in sys.modules.items() if name.startswith("tfnn.")]
        for part in vars(module).values()
        if (inspect.isclass(part) or inspect.isfunction(part)) and part.__module__ == module.__name__
    }
    known = set(map(id, public.values()))
    parts = public | {name: part for name, part in inside.items() if id(part) not in known}
    return {name: part for name, part in parts.items() if ">>>" in (part.__doc__ or "")}


PARTS = parts_with_an_example()


@functools.cache
def digits():
    data = tfnn.data.digits()
    scaled = lambda part: (part.x[:600].reshape(-1, 8, 8, 1).astype(np.float32) / 16, part.y[:600])
    return *scaled(data.train), *scaled(data.test)


def compiled_model(input_shape=(8, 8, 1)):
    model = tfnn.models.mlp(input_shape, 10, hidden=(16,))
    model.compile(tfnn.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def common():
    """What every example may take for granted."""
    x, y, x_test, y_test = digits()
    images = np.random.RandomState(0).randint(0, 256, (8, 96, 96, 3), np.uint8)
    return {
        **{"keras": keras, "np": np, "tf": tf, "tfnn": tfnn, "time": time, "pathlib": pathlib},
        **{"model": compiled_model(), "x": x, "y": y, "x_train": x, "y_train": y, "x_test": x_test, "y_test": y_test},
        **{"images": images, "labels": np.arange(8) % 2},
    }


def frozen_backbone():
    images, labels = bodies.images_and_labels()
    return {"model": bodies.classifier(), "images": images, "labels": labels}


def detection():
    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Flatten()(inputs)
    outputs = {
        "boxes": keras.layers.Reshape((1, 4))(keras.layers.Dense(4, name="corners")(features)),
        "class": keras.layers.Dense(2, "softmax", name="class")(features),
    }
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {"boxes": "mse", "class": "sparse_categorical_crossentropy"})
    images, _, _, _ = digits()
    boxes = np.tile(np.float32([[[1, 2, 5, 6]]]), (64, 1, 1))
    return {"model": model, "images": images[:64], "boxes": boxes, "classes": np.arange(64) % 2}


def large_images():
    return {"images": np.zeros((1, 224, 224, 3), np.float32)}


# What else, or instead, single examples take for granted.
TAKEN_FOR_GRANTED = {
    "tfnn.data.stream": lambda: {"model": compiled_model((96, 96, 3))},
    "tfnn.layers.augment.transform.Transform": detection,
    "tfnn.serving.fold_batchnorm": large_images,
    "tfnn.transfer.FeatureCache": frozen_backbone,
    "tfnn.transfer.Unfreeze": frozen_backbone,
    "tfnn.transfer.freeze": frozen_backbone,
    "tfnn.transfer.layerwise_decay": frozen_backbone,
}


def write_photographs(folder):
    """`photographs/cat`, `photographs/dog`, a table of them, and the picture of a seven."""
    lines = ["path,label"]
    for label in "cat", "dog":
        (folder / "photographs" / label).mkdir(parents=True)
        for index in range(10):
            path = folder / "photographs" / label / f"{index}.png"
            Image.fromarray(np.full((96, 96, 3), 20 * index + (label == "dog"), np.uint8)).save(path)
            lines.append(f"{path.relative_to(folder)},{label}")
    (folder / "photographs.csv").write_text("\n".join(lines))
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "seven.png")


def run(docstring, names):
    """Runs the examples of a docstring one after another; an output is checked where the docstring shows one."""
    check = doctest.OutputChecker().check_output
    for example in doctest.DocTestParser().get_examples(docstring):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(example.source, "<example>", "single"), names)
        if example.want:
            assert check(example.want, printed.getvalue(), doctest.ELLIPSIS), f"{example.source}gave {printed.getvalue()}"


def cases():
    for name in sorted(PARTS):
        reason = CANNOT_RUN.get(name)
        marks = [pytest.mark.skip(reason)] if reason else [pytest.mark.slow] if name in SLOW else []
        yield pytest.param(name, id=name, marks=marks)


@pytest.mark.parametrize("name", list(cases()))
def test_the_example_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docstring = PARTS[name].__doc__
    if "photographs" in docstring or "seven.png" in docstring:
        write_photographs(tmp_path)
    (tmp_path / "saved_models").symlink_to(pathlib.Path(__file__).parents[1] / "saved_models")
    names = common() | TAKEN_FOR_GRANTED.get(name, dict)()
    keras.config.disable_interactive_logging()
    run(inspect.cleandoc(docstring), names)


@pytest.mark.parametrize("name", sorted(public_parts()))
def test_every_public_part_has_a_short_example(name):
    docstring = inspect.cleandoc(public_parts()[name].__doc__ or "")
    if name in WITHOUT and ">>>" not in docstring:
        pytest.skip("is no part for users")
    lines = [line for line in docstring.splitlines() if line.lstrip().startswith((">>>", "..."))]
    assert "Example:" in docstring and 1 <= len(lines) <= 6, f"{name} has an example of {len(lines)} lines"


def test_lists_name_what_there_is():
    assert set(CANNOT_RUN) | SLOW | set(TAKEN_FOR_GRANTED) <= set(PARTS)
    assert set(public_parts()) >= WITHOUT
