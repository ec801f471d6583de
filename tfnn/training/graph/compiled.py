"""A compiled Keras model as a trainer sees it."""

import contextlib
import re
import warnings

import keras
import tensorflow as tf

from tfnn import controls
from tfnn.controls.nested import optimizers_of, updates_of
from tfnn.internals import compiled
from tfnn.internals.layers import layers_of, mask_of, takes_training, with_marks_of
from tfnn.internals.optimizers import rate_in, replaced_rate, without_all_reduce
from tfnn.training.graph.snapshot import Snapshot
from tfnn.training.graph.states import build_states

MEANS = "sum_over_batch_size", "mean"


class Compiled:
    """Forward pass, loss, metrics and update of a model, as its `compile` left them.

    `own_step` names the method with which a model brings its own training step, or is None.

    Args:
        model: the model.
        head: the part of it that is called, where what leads to that was computed before; None calls the whole.

    Raises:
        ValueError: for a model that is not compiled, makes its own training function, or has several replicas.
    """

    def __init__(self, model, head=None):
        if not model.compiled:
            raise ValueError(f"model {model.name!r} is not compiled: call model.compile(optimizer, loss) first")
        for own in "make_train_function", "make_test_function":
            if overrides(model, own):
                raise ValueError(f"model {model.name!r} has a {own} of its own, which tfnn.fit would pass over: use model.fit")
        if model.distribute_strategy.num_replicas_in_sync > 1:
            raise ValueError("tfnn.fit trains on one device, but the model's strategy has several replicas: use model.fit")
        self.own_step = next((own for own in ("train_step", "compute_metrics") if overrides(model, own)), None)
        self.own_loss = overrides(model, "train_step") or overrides(model, "test_step") or overrides(model, "compute_loss")
        self.own_test_step = overrides(model, "test_step") or overrides(model, "compute_metrics")
        self.model, self.head, self.optimizer, self.classes = model, head, model.optimizer, []

    def build(self, spec, batch_size=None):
        """Creates all variables, of model, loss, metrics and optimizer, which no traced function may create.

        A model with a step of its own creates what it needs when that is traced: only it knows what it calls.

        Args:
            spec: (x, y, sample_weight) of a batch as tensor specs; the number of examples is None.
            batch_size: how many examples every batch has, or None.
        """
        build_states(lambda x: self.forward(x, training=False), self.model, spec[0], batch_size)
        if spec[1] is None and compiled.has_loss(self.model) and not self.own_loss:
            raise ValueError(f"model {self.model.name!r} is compiled with a loss, which needs labels y, and got none")
        if not self.own_step:
            compiled.build(self.model, spec)
            self.weights = self.model.trainable_variables
            self.classes = self.classes_of_outputs(spec[0])
            for optimizer in optimizers_of(self.optimizer):
                if isinstance(optimizer, controls.TellingOptimizer):
                    optimizer.belong_together(self.model.weights)
        self.remember()

    def remember(self):
        """Takes the model as it is for what the traces hold."""
        self.traced, self.snapshot = self.settings(), Snapshot(self.model, optimizers_of(self.optimizer))

    def settings(self):
        """What a trace holds of the model besides numbers: `compile` makes a new loss tracker, freezing changes flags."""
        rates = [rate_in(optimizer) for optimizer in optimizers_of(self.model.optimizer)]
        regularizers = [weight.regularizer for weight in self.model.trainable_variables]
        objects = [self.model.optimizer, compiled.loss_mean(self.model), *rates, *regularizers]
        for optimizer in optimizers_of(self.model.optimizer):
            if isinstance(optimizer, controls.TellingOptimizer):
                objects += optimizer.traced_objects()
        return objects, [layer.trainable for layer in layers_of(self.model)]

    @property
    def current(self):
        """Whether the model is still what `build` saw."""
        (objects, flags), (traced, traced_flags) = self.settings(), self.traced
        same = flags == traced_flags and len(objects) == len(traced) and all(a is b for a, b in zip(objects, traced))
        return same and self.difference() is None

    def difference(self):
        """In words, which attribute is another than `build` saw, or None."""
        return self.snapshot.difference(self.model, optimizers_of(self.model.optimizer))

    @property
    def trains_the_same(self):
        """Whether no layer was frozen or unfrozen since."""
        return self.settings()[1] == self.traced[1]

    def what_changed(self):
        """In words, why the model is not what `build` saw."""
        (objects, flags), (traced, traced_flags) = self.settings(), self.traced
        if objects[1] is not traced[1]:
            return "the model was compiled anew"
        if flags != traced_flags:
            return "a layer was frozen or unfrozen"
        return self.difference() or "an optimizer, its rate or a regularizer changed"

    def check_summable(self):
        """Refuses what a sum over micro-batches, weighted by examples, would not give exactly."""
        for weight in [] if self.own_step else self.weights:
            if getattr(weight, "overwrite_with_gradient", False):
                raise ValueError(
                    f"weight {weight.path!r} takes its gradient for its value, as under quantize('float8'), and such a value is"
                    " no sum over micro-batches: train with accumulate=1 and a batch that does not grow"
                )
        for _, loss in compiled.losses_of(self.model):
            reduction = getattr(loss, "reduction", "sum_over_batch_size")
            if reduction not in (*MEANS, "mean_with_sample_weight"):
                raise refusal(f"loss {loss.name!r} has reduction={reduction!r}, use 'sum_over_batch_size'")

    def check_accumulates(self, accumulate):
        """Refuses to sum gradients in a training step that cannot be split."""
        if self.own_step and accumulate > 1:
            raise ValueError(
                f"model {self.model.name!r} has a {self.own_step} of its own, which cannot be split to sum gradients:"
                f" accumulate={accumulate} must be 1"
            )

    def classes_of_outputs(self, x):
        """[(path in the labels, number of classes)] for the losses that take a class as an integer."""
        sparse = "sparse_categorical_crossentropy"
        losses = compiled.losses_of(self.model)
        paths = [path for path, loss in losses if loss.name == sparse and getattr(loss, "ignore_class", None) is None]
        outputs = self.output_spec(x) if paths else None
        return [(path, at_path(outputs, path).shape[-1]) for path in paths]

    def check_labels(self, y):
        """Refuses integers that are no class of the model, on which a loss is NaN or an error without a name."""
        for path, classes in self.classes:
            labels = at_path(y, path)
            if tf.is_tensor(labels) and classes:
                check_classes(labels, classes)

    def restored_epoch(self):
        """The epoch that a callback such as `BackupAndRestore` set in `on_train_begin`, or None."""
        return compiled.restored_epoch(self.model)

    def validates(self, epoch, frequency):
        """Whether validation follows `epoch`, where `frequency` is a number of epochs or a list of epochs from 1."""
        return compiled.validates(self.model, epoch, frequency)

    def forward(self, x, training):
        return call(self.head or self.model, x, training)

    def output_spec(self, x):
        """The outputs for inputs like `x`, without their values."""
        of_rows = lambda a: None if a is None else keras.KerasTensor([None, *a.shape[1:]], a.dtype.name)
        spec = keras.tree.map_structure(of_rows, x)
        return self.model.compute_output_spec(spec)

    def check_takes_soft_labels(self):
        """Refuses losses and metrics that take an integer for a label: a mixture of two labels has none."""
        given = {"loss": self.model.loss, "metric": compiled.metrics_given(self.model)}
        for kind, parts in given.items():
            for part in keras.tree.flatten(parts):
                name = part if isinstance(part, str) else getattr(part, "__name__", type(part).__name__)
                if "sparse" in name.lower():
                    soft = re.sub("(?i)sparse_?", "", name)
                    raise ValueError(
                        f"augment mixes labels, and {kind} {name!r} takes one class per example: compile with {soft!r};"
                        " tfnn.fit turns the integer labels into one-hot ones"
                    )

    def loss(self, x, y, y_pred, sample_weight, training):
        if tf.nest.is_nested(y_pred):
            y_pred = tf.nest.map_structure(forget_batch_size, y_pred)
        return compiled.compute_loss(self.model, x, y, y_pred, sample_weight, training)

    def count_of(self, y, y_pred, sample_weight, rows):
        """Over how many the loss of a batch is a mean: its examples, `rows`; or what a mask, an ignored class or weights leave.

        Raises:
            ValueError: for a loss that is no such mean, so that the losses of micro-batches give none of the whole batch.
        """
        losses = compiled.losses_of(self.model)
        counts = {
            loss.name: count_left(loss, *(at_path(part, path) for part in (y, y_pred, sample_weight))) for path, loss in losses
        }
        left = {name: count for name, count in counts.items() if count is not None}
        if left and len(losses) > 1:
            raise refusal(f"of several losses {next(iter(left))!r} is a mean over what a mask or weights leave")
        return next(iter(left.values()), rows)

    def track_metrics(self, y, y_pred, sample_weight):
        """Updates the metrics; their results are read once, at the end of a piece."""
        compiled.update_metrics(self.model, y, y_pred, sample_weight)

    def track_loss(self, loss, rows):
        compiled.loss_mean(self.model).update_state(loss, sample_weight=rows)

    def epoch_logs(self, logs):
        """What a model with a step of its own tells of an epoch, where its last step told `logs`."""
        return compiled.results_of(self.model, logs)

    @property
    def iterations(self):
        """The optimizer's count of updates, an int64 scalar tensor."""
        return tf.cast(tf.convert_to_tensor(optimizers_of(self.optimizer)[0].iterations), tf.int64)

    def count(self):
        """The same on the host, at a fifth of the cost; of a model with optimizers of its own the largest count."""
        return updates_of(self.model) if self.own_step else int(optimizers_of(self.optimizer)[0].iterations)

    def learning_rate(self, run):
        """That of the next update, float32."""
        with self.learning_rate_of(run):
            return tf.cast(tf.convert_to_tensor(optimizers_of(self.optimizer)[0].learning_rate), tf.float32)

    def largest_rate(self, run):
        """The largest of all optimizers' rates in the next update, float32."""
        with self.learning_rate_of(run):
            rates = [optimizer.learning_rate for optimizer in optimizers_of(self.optimizer)]
            return tf.reduce_max([tf.abs(tf.cast(tf.convert_to_tensor(rate), tf.float32)) for rate in rates])

    def apply(self, gradients, run):
        """One update, by what Keras's own training step calls: an optimizer may override any of what that leads to."""
        if not self.weights:
            warnings.warn(f"model {self.model.name!r} has no trainable weights", stacklevel=2)
            return
        with self.learning_rate_of(run):
            self.optimizer.apply_gradients(zip(gradients, self.weights))

    @contextlib.contextmanager
    def learning_rate_of(self, run):
        """Updates inside are made at the learning rate times `run.learning_rate_scale`; schedules have `run` as clock."""
        with contextlib.ExitStack() as stack:
            for optimizer in optimizers_of(self.optimizer):
                stack.enter_context(scaled_learning_rate(optimizer, run))
                stack.enter_context(without_all_reduce(optimizer))
            yield


@contextlib.contextmanager
def scaled_learning_rate(optimizer, run):
    """While the update is traced, what a Keras optimizer reads as its rate is a function of the run's controls."""

    original = rate_in(optimizer)

    def rate():
        with controls.use(run):  # in the thread that traces: a strategy traces each replica in a thread of its own
            eta = tf.convert_to_tensor(read(original, optimizer.iterations))
            return eta * tf.cast(run.learning_rate_scale, eta.dtype)

    with replaced_rate(optimizer, rate):
        yield


def read(rate, iterations):
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate(iterations)
    return rate() if callable(rate) else rate


def check_classes(y, classes):
    low, high = int(tf.reduce_min(y)), int(tf.reduce_max(y))
    if low < 0 or high >= classes:
        raise ValueError(f"labels y of {low} to {high} must be in 0 to {classes - 1}, the {classes} classes of the model")


def at_path(nest, path):
    """The part of a nest that a path of keys and indices leads to, or None."""
    for key in path:
        try:
            nest = nest[key]
        except (KeyError, IndexError, TypeError):
            return None
    return nest


def overrides(model, method):
    return getattr(getattr(model, method), "__func__", None) is not getattr(keras.Model, method)


def code_of(model, layers):
    """The model, `layers` of it, and the losses and metrics that were given to `compile` as objects or functions."""
    given = [model.loss, compiled.metrics_given(model)]
    return [model, *layers, *(p for p in keras.tree.flatten(given) if p is not None and not isinstance(p, str))]


def call(layer, x, training):
    """A layer's, model's or function's outputs; `training` is told to those that ask for it."""
    return layer(x, training=training) if takes_training(layer) else layer(x)


def count_left(loss, y, y_pred, sample_weight):
    """Over how many values a loss is a mean; None where that is as many for each example.

    A mask comes with the outputs, or is made by the loss, as by `SparseCategoricalCrossentropy(ignore_class=...)`.
    """
    if not isinstance(loss, keras.losses.Loss) or type(loss).__call__ is not keras.losses.Loss.__call__:
        return None
    convert = lambda a: tf.cast(tf.convert_to_tensor(a), loss.dtype)
    values = loss.call(tf.nest.map_structure(convert, y), tf.nest.map_structure(convert, y_pred))
    if values.shape.rank == 0 or (
        values.shape.rank and values.shape[0] is not None and tf.nest.flatten(y_pred)[0].shape[0] is None
    ):
        raise refusal(f"loss {loss.name!r} is one number for a whole batch")
    masks = [mask for mask in (*map(mask_of, tf.nest.flatten(y_pred)), mask_of(values)) if mask is not None]
    weighted = loss.reduction == "mean_with_sample_weight" and sample_weight is not None
    if not masks and not weighted:
        return None
    count = tf.ones_like(values, tf.float32)
    for factor in [*masks, *([sample_weight] if weighted else [])]:
        factor = tf.cast(factor, tf.float32)
        count *= factor if factor.shape.rank == count.shape.rank else tf.reshape(factor, [*tf.shape(factor), 1])
    return tf.reduce_sum(count)


def refusal(reason):
    return ValueError(
        f"gradients of micro-batches are summed, which is exact where the loss is a mean over examples, and {reason}: give a"
        " larger batch_size in place of accumulate, and mode='rebatch' to what grows the batch"
    )


def forget_batch_size(tensor):
    """Keras weights the losses of several outputs by the batch size where that is static, and else counts each batch once.

    A mask and the logits that Keras hangs on an output, and its losses read there, stay with it.
    """
    return with_marks_of(tensor, tf.raw_ops.PlaceholderWithDefault(input=tensor, shape=[None, *tensor.shape[1:]]))
