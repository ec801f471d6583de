"""Batches from a source that makes them one after the other: `tf.data`, PyDataset, generators. Keras's adapters read them."""

import types

import keras
import tensorflow as tf

from tfnn.internals import data
from tfnn.internals.data import first_batch, set_signature, signature_of
from tfnn.random import permutation
from tfnn.training.source.batch_source import BatchSource
from tfnn.training.source.batches import rows, without_optionals
from tfnn.training.source.preprocessing import mapped


class Stream(BatchSource):
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
        preprocess: what makes a batch for the model of one of the source, see `tfnn.training.source.preprocessing`; or None.

    Raises:
        ValueError: for what is no source of batches, and one without any.
    """

    def __init__(self, x, class_weight=None, shuffle=False, seed=0, model=None, micro_batch=None, preprocess=None):
        super().__init__(type(x).__name__)
        self.once = isinstance(x, types.GeneratorType)
        self.source = Ordered(x, shuffle, seed) if isinstance(x, keras.utils.PyDataset) else x
        self.adapter = self.adapter_for(self.source, class_weight)
        self.length = self.adapter.num_batches
        self.endless = isinstance(x, keras.utils.PyDataset) and self.length is None
        if isinstance(x, tf.data.Dataset):
            self.endless = x.cardinality() == tf.data.INFINITE_CARDINALITY
        self.dataset = self.dataset_for(model)
        if preprocess:
            self.dataset = mapped(self.dataset, preprocess)
        self.micro_batch = self.static_batch or micro_batch
        self.made, self.measured, self.within_epoch = 0, 0, False

    def adapter_for(self, source, class_weight):
        """Keras's reader of the source."""
        try:
            adapter = data.adapter_for(source, class_weight)
            if adapter.num_batches == 0:
                raise ValueError("it has none")
        except ValueError as error:
            needed = "tfnn.fit needs batches, given as arrays or as a source of them"
            raise ValueError(f"{needed}, from {self.name}: {error}") from None
        return adapter

    def dataset_for(self, model):
        """The `tf.data.Dataset` by which the graph reads it."""
        return dataset_of(self.adapter, model)

    @property
    def batch_spec(self):
        return without_optionals(self.dataset.element_spec)

    @property
    def spec(self):
        return keras.utils.unpack_x_y_sample_weight(self.batch_spec)

    def soften(self, soft):
        self.dataset = self.dataset.map(lambda x, y, *sample_weight: (x, soft(y), *sample_weight))

    @property
    def static_batch(self):
        return next(spec.shape[0] for spec in keras.tree.flatten(self.spec) if spec is not None)

    def measure(self):
        if self.micro_batch:
            return
        if isinstance(self.source, Ordered):
            batch = self.source[0]
        elif self.adapter.batch_size:
            self.micro_batch = self.adapter.batch_size
            return
        elif self.once:
            batch = first_batch(self.adapter)
        else:
            self.made = self.measured = 1
            batch = next(iter(self.dataset))
        self.micro_batch = int(rows(without_optionals(batch)))

    def seek(self, passes, place=(0, 0)):
        self.close()
        if isinstance(self.source, Ordered):
            self.source.begin(passes, place[0])
        if not self.once or self.iterator is None:
            self.adapter.on_epoch_begin()
            self.within_epoch = True
            if isinstance(self.source, tf.data.Dataset):
                while self.made < passes + self.measured:  # each iterator that is made takes the next seed of a shuffle
                    iter(self.dataset)
                    self.made += 1
            self.iterator, self.made = iter(self.dataset), self.made + 1
            if place[0]:
                self.find(place[0])
        self.passes, self.place, self.ended = passes, list(place), False

    def find(self, batches):
        """Moves the iterator on to a place."""
        if not isinstance(self.source, Ordered):
            skip(self.iterator, tf.constant(batches))

    def close(self):
        if self.within_epoch and not self.once:
            self.adapter.on_epoch_end()
            self.within_epoch = False

    def examples(self, updates, controls):
        """Every batch counts as full."""
        batches = updates * controls.micro_batches if updates else self.length
        return batches and batches * controls.micro_batch


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


def dataset_of(adapter, model):
    """The adapter's `tf.data.Dataset`, with open lengths where the model's inputs leave them open.

    Keras takes as open what differs between the first two batches. Here the same axis of every array that is as long as
    the input is open, too, as the labels of a sequence.
    """
    dataset = adapter.get_tf_dataset()
    signature, inputs = signature_of(adapter), getattr(model, "inputs", None)
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
    open_spec = lambda spec: tf.TensorSpec(opened(spec.shape), spec.dtype) if isinstance(spec, tf.TensorSpec) else spec
    set_signature(adapter, keras.tree.map_structure(open_spec, signature))
    return adapter.get_tf_dataset()


def of_rows(data, batch_size, shuffle, seed):
    """A `tf.data.Dataset` of batches of arrays that are ragged or sparse, shuffled by `seed` anew in each pass."""
    dataset = tf.data.Dataset.from_tensor_slices(data)
    if shuffle:
        dataset = dataset.shuffle(dataset.cardinality(), seed=seed)
    return dataset.batch(batch_size)


@tf.function(autograph=False, reduce_retracing=True)
def skip(iterator, batches):
    """Reads `batches` batches and drops them."""
    tf.while_loop(
        lambda left: left > 0, lambda left: left - tf.where(iterator.get_next_as_optional().has_value(), 1, left), [batches]
    )
