"""Batches from a source that makes them one after the other: `tf.data`, PyDataset, generators. Keras's adapters read them."""

import types

import keras
import tensorflow as tf
from keras.src.trainers import data_adapters  # Keras has no public name for what its own `fit` reads data with

from tfnn.random import permutation
from tfnn.training.graph import without_optionals
from tfnn.training.nonfinite import suspicion


class Stream:
    """The batches of a source, from any of them on.

    Their order is that of the source, but for a PyDataset: under `shuffle` it is a function of (seed, pass). A place in
    a stream is found again by reading from the start, in a PyDataset by index. So the source must give the same batches
    again: a generator that is made anew, a `tf.data.Dataset` whose shuffling has a seed.

    Args:
        x: what `keras.Model.fit` takes for x besides arrays.
        class_weight: {class: weight}, for a source of (x, y).
        shuffle, seed: of the order of a PyDataset's batches.
        model: its inputs tell which lengths may differ between batches.
        micro_batch: examples of a batch where they are known; else the source's static batch size, or None.

    Raises:
        ValueError: for what is no source of batches, and one without any.
    """

    order = None  # of the examples of a pass, where it is known

    def __init__(self, x, class_weight=None, shuffle=False, seed=0, model=None, micro_batch=None):
        self.once = isinstance(x, types.GeneratorType)
        self.source = Ordered(x, shuffle, seed) if isinstance(x, keras.utils.PyDataset) else x
        self.adapter = adapter_for(self.source, class_weight)
        self.length = self.adapter.num_batches
        self.endless = isinstance(x, keras.utils.PyDataset) and self.length is None
        if isinstance(x, tf.data.Dataset):
            self.endless = x.cardinality() == tf.data.INFINITE_CARDINALITY
        self.dataset = dataset_of(self.adapter, model)
        self.micro_batch = self.static_batch or micro_batch
        self.passes, self.at, self.ended = None, [0, 0], False
        self.iterator, self.made, self.measured, self.within_epoch = None, 0, 0, False

    @property
    def batch_spec(self):
        return without_optionals(self.dataset.element_spec)

    @property
    def spec(self):
        """(x, y, sample_weight) of a batch, as tensor specs."""
        return keras.utils.unpack_x_y_sample_weight(self.batch_spec)

    def soften(self, soft):
        """Puts `soft(y)` in the place of the labels."""
        self.dataset = self.dataset.map(lambda x, y, *sample_weight: (x, soft(y), *sample_weight))

    @property
    def ragged(self):
        """Whether arrays differ from batch to batch in more than the number of examples."""
        return any(None in tuple(spec.shape)[1:] for spec in keras.tree.flatten(self.spec) if spec is not None)

    @property
    def static_batch(self):
        return next(spec.shape[0] for spec in keras.tree.flatten(self.spec) if spec is not None)

    def measure(self):
        """Takes the first batch, which is read for that, for the size of all."""
        if self.micro_batch:
            return
        if isinstance(self.source, Ordered):
            batch = self.source[0]
        elif self.once:
            batch = self.adapter._first_batches[0]
        else:
            self.made = self.measured = 1
            batch = next(iter(self.dataset))
        self.micro_batch = len(keras.tree.flatten(batch)[0])

    def seek(self, passes, at=(0, 0)):
        """Goes to the batch after `at`, (batches, examples), of pass number `passes`."""
        self.close()
        if isinstance(self.source, Ordered):
            self.source.begin(passes, at[0])
        if not self.once or self.iterator is None:
            self.adapter.on_epoch_begin()
            self.within_epoch = True
            if isinstance(self.source, tf.data.Dataset):
                while self.made < passes + self.measured:  # each iterator that is made takes the next seed of a shuffle
                    iter(self.dataset)
                    self.made += 1
            self.iterator, self.made = iter(self.dataset), self.made + 1
            if at[0] and not isinstance(self.source, Ordered):
                advance(self.iterator, tf.constant(at[0]))
        self.passes, self.at, self.ended = passes, list(at), False

    def close(self):
        """Ends a pass, whose worker threads or processes then end, too."""
        if self.within_epoch and not self.once:
            self.adapter.on_epoch_end()
            self.within_epoch = False

    def updates_left(self, controls):
        """In this pass, or None."""
        return self.length and -(-(self.length - self.at[0]) // controls.micro_batches)

    def examples(self, updates, controls):
        """Examples of an epoch of so many updates, or of a pass; None where nobody knows. Every batch counts as full."""
        batches = updates * controls.micro_batches if updates else self.length
        return batches and batches * controls.micro_batch

    def place(self):
        return {"passes": self.passes, "at": self.at}

    def train(self, graph, limit, fresh):
        """Up to `limit` updates from here, and moves on: over an update that went wrong, too. Gives (updates, `Result`)."""
        place = tf.constant(self.at), tf.constant(limit), tf.constant(self.passes), tf.constant(fresh)
        result = graph.train(self.iterator, *place, self.order)
        if result.updates:
            self.last = result.last
        self.at, self.ended = result.at.numpy().tolist(), bool(result.ended)
        self.ended |= self.at[0] == self.length
        if self.ended and not self.at[0]:
            raise ValueError(f"tfnn.fit needs at least one batch, and the {kind_of(self.source)} has none")
        return int(result.updates), result

    def sample(self):
        """(batch, its examples): the one that was read last, as reading more would change what comes."""
        return self.read_last(self.last)

    def read_last(self, last):
        batch = without_optionals(last.get_value())
        examples = tf.range(self.at[1] - len(keras.tree.flatten(batch)[0]), self.at[1])
        return batch, examples if self.order is None else tf.gather(self.order, examples)

    def diagnosis(self, graph, result):
        """(examples, variable, data) of the batch that was read last, in which a number went wrong."""
        batch, examples = self.read_last(result.last)
        return suspicion(graph, batch, (tf.constant(self.passes), examples)) or (examples.numpy().tolist(), None, None)

    def evaluate(self, evaluation, limit, fresh):
        """(batches read, whether more follow, metrics) of up to `limit` batches from here."""
        batches, more, logs = evaluation.on_stream(self.iterator, tf.constant(limit), tf.constant(fresh))
        return int(batches), bool(more), logs

    def __iter__(self):
        """Batches of one pass, for what needs them one by one."""
        self.seek(0, [0, 0])
        return map(without_optionals, self.iterator)


class Ordered(keras.utils.PyDataset):
    """The batches of a PyDataset in an order that is a function of (seed, pass), from any of them on."""

    def __init__(self, inner, shuffle, seed):
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self.inner, self.shuffle, self.seed = inner, shuffle, seed
        self.begin(0, 0)

    def begin(self, passes, start):
        self.start, self.order = start, None
        if self.shuffle and self.inner.num_batches is not None:
            self.order = permutation(self.inner.num_batches, self.seed, passes)

    @property
    def num_batches(self):
        return None if self.inner.num_batches is None else self.inner.num_batches - self.start

    def __getitem__(self, index):
        index += self.start
        return self.inner[index if self.order is None else int(self.order[index])]

    def on_epoch_begin(self):
        self.inner.on_epoch_begin()

    def on_epoch_end(self):
        self.inner.on_epoch_end()


def adapter_for(source, class_weight):
    try:
        adapter = data_adapters.get_data_adapter(source, class_weight=class_weight)
        if adapter.num_batches == 0:
            raise ValueError("it has none")
    except ValueError as error:
        kind = kind_of(source)
        raise ValueError(f"tfnn.fit needs batches, given as arrays or as a source of them, from {kind}: {error}") from None
    return adapter


def kind_of(source):
    return type(source.inner if isinstance(source, Ordered) else source).__name__


def dataset_of(adapter, model):
    """The adapter's `tf.data.Dataset`, with open lengths where the model's inputs leave them open.

    Keras takes as open what differs between the first two batches. Here the same axis of every array that is as long as
    the input is open, too, as the labels of a sequence.
    """
    dataset = adapter.get_tf_dataset()
    signature, inputs = getattr(adapter, "_output_signature", None), getattr(model, "inputs", None)
    if signature is None or not inputs:
        return dataset
    x, _, _ = keras.utils.unpack_x_y_sample_weight(signature)
    lengths = {
        (axis, length)
        for spec, tensor in zip(keras.tree.flatten(x), keras.tree.flatten(inputs))
        for axis, (length, wanted) in enumerate(zip(spec.shape, tensor.shape))
        if wanted is None and length is not None
    }
    opened = lambda shape: [None if (axis, length) in lengths else length for axis, length in enumerate(shape)]
    adapter._output_signature = keras.tree.map_structure(
        lambda spec: tf.TensorSpec(opened(spec.shape), spec.dtype) if isinstance(spec, tf.TensorSpec) else spec, signature
    )
    return adapter.get_tf_dataset()


def of_rows(data, batch_size, shuffle, seed):
    """A `tf.data.Dataset` of batches of arrays that are ragged or sparse, shuffled by `seed` anew in each pass."""
    dataset = tf.data.Dataset.from_tensor_slices(data)
    if shuffle:
        dataset = dataset.shuffle(dataset.cardinality(), seed=seed)
    return dataset.batch(batch_size)


@tf.function(autograph=False, reduce_retracing=True)
def advance(iterator, batches):
    """Reads `batches` batches and drops them."""
    tf.while_loop(
        lambda left: left > 0, lambda left: left - tf.where(iterator.get_next_as_optional().has_value(), 1, left), [batches]
    )
