"""The arguments of `fit` as tensors: checked once, here, so that the graph meets only what fits."""

import types

import keras
import numpy as np
import tensorflow as tf

from tfnn.data.files import ImageFiles

LARGE = 2**24  # bytes
OF_ROWS = tf.RaggedTensor, tf.SparseTensor  # arrays that have examples, but no dense form


FOREIGN = {"torch": ("DataLoader",), "grain": ("DataLoader", "MapDataset", "IterDataset")}  # sources of other packages


def is_stream(x):
    """Whether x is a source of batches, in place of arrays."""
    kinds = tf.data.Dataset, keras.utils.PyDataset, types.GeneratorType
    return isinstance(x, kinds) or package_of(x) is not None


def package_of(x):
    """The package of `FOREIGN` that gave a source of batches, or None; that package need not be installed."""
    for kind in type(x).__mro__:
        package = kind.__module__.partition(".")[0]
        if kind.__name__ in FOREIGN.get(package, ()):
            return package
    return None


def as_tensors(x, y=None, sample_weight=None):
    """(x, y, sample_weight), each None, a tensor or a nest of tensors with the examples first.

    Raises:
        ValueError: for no data, lengths that differ, or what is no array.
    """
    if keras.tree.is_nested(y) and sample_weight is not None and not keras.tree.is_nested(sample_weight):
        sample_weight = keras.tree.map_structure(lambda _: sample_weight, y)  # of each output, as in Keras
    several = keras.tree.is_nested(y) and keras.tree.is_nested(sample_weight)
    if several and (found := places(sample_weight)) != (wanted := places(y)):
        raise ValueError(f"sample_weight holds {found} and must hold an array or None for each of y: {wanted}")
    data = tuple(keras.tree.map_structure(tensor, part) for part in (x, y, sample_weight))
    count(data)
    return data


def places(nest):
    """Where the arrays of a nest stand, in words."""
    return ", ".join("/".join(map(str, path)) for path, _ in keras.tree.flatten_with_path(nest))


def tensor(array):
    if array is None or isinstance(array, ImageFiles):
        return array
    if hasattr(array, "tocoo"):
        array = of_scipy(array.tocoo())
    if isinstance(array, OF_ROWS):
        return array.with_values(as_float(array.values)) if isinstance(array, tf.SparseTensor) else array
    if hasattr(array, "to_frame"):  # pandas's Series is a column, as in Keras
        array = array.to_frame()
    if not (hasattr(array, "shape") or hasattr(array, "__array__")):
        raise ValueError(
            f"tfnn.fit trains on arrays, tensors, and tf.data.Dataset, PyDataset or generator, got {type(array).__name__}:"
            " convert it with np.asarray"
        )
    if not tf.is_tensor(array):
        array = np.asarray(array)
        if array.dtype == object and not all(isinstance(part, (str, bytes)) for part in array.flat):
            raise ValueError(
                "tfnn.fit trains on arrays of numbers or strings, got an array of objects (rows of different length?)"
            )
    if isinstance(array, np.ndarray) and array.nbytes >= LARGE and not tf.config.list_logical_devices("GPU"):
        return copied_once(array)
    return as_float(tf.convert_to_tensor(array))


def as_float(array):
    return tf.cast(array, keras.config.floatx()) if array.dtype.is_floating else array


def of_scipy(matrix):
    """A `tf.SparseTensor` of a sparse matrix of scipy's in coordinates."""
    indices = np.stack([matrix.row, matrix.col], axis=1).astype(np.int64)
    return tf.sparse.reorder(tf.SparseTensor(indices, matrix.data, matrix.shape))


def copied_once(array):
    """A tensor of a numpy array, on the CPU. `tf.convert_to_tensor` holds a second copy while it makes one.

    Tensors begin at multiples of 64 bytes, numpy's arrays do not: so the copy is made into a buffer that does, and the
    tensor takes that over.
    """
    dtype = np.dtype(keras.config.floatx()) if np.issubdtype(array.dtype, np.floating) else array.dtype
    try:
        size = array.size * dtype.itemsize
        buffer = np.empty(size + 64, np.uint8)
        begin = -buffer.ctypes.data % 64
        aligned = buffer[begin : begin + size].view(dtype).reshape(array.shape)
        aligned[...] = array
        return tf.experimental.dlpack.from_dlpack(aligned.__dlpack__())
    except (BufferError, RuntimeError, TypeError, tf.errors.OpError):  # a dtype that the protocol does not know
        return tf.convert_to_tensor(array.astype(dtype))


def count(data):
    """The number of examples, the same in every array of `data`."""
    lengths = {
        name: sorted({int(a.shape[0]) for a in keras.tree.flatten(part) if a is not None})
        for name, part in zip(("x", "y", "sample_weight"), data)
    }
    lengths = {name: sizes for name, sizes in lengths.items() if sizes}
    if not lengths.get("x"):
        raise ValueError("tfnn.fit needs x, got None")
    if len({size for sizes in lengths.values() for size in sizes}) > 1:
        found = ", ".join(f"{name}: {' and '.join(map(str, sizes))}" for name, sizes in lengths.items())
        raise ValueError(f"all arrays must hold the same number of examples, got {found}")
    if lengths["x"][0] == 0:
        raise ValueError("tfnn.fit needs at least one example, got none")
    return lengths["x"][0]


def with_class_weights(data, class_weight):
    """`data` with the weight of each example's class, 1 where none is given, for a sample weight.

    "balanced" weighs the classes that occur as `tfnn.data.balanced_class_weight` does.
    """
    x, y, sample_weight = data
    if sample_weight is not None:
        raise ValueError("give class_weight or sample_weight, not both")
    if not tf.is_tensor(y):
        raise ValueError("class_weight needs one array of labels y")
    labels = classes_of(y.numpy())
    if class_weight == "balanced":
        check_classes(y.numpy())
        classes, labels, counts = np.unique(labels, return_inverse=True, return_counts=True)
        class_weight = dict(enumerate(len(labels) / (len(classes) * counts)))
    return x, y, tf.constant([class_weight.get(int(label), 1.0) for label in labels], keras.config.floatx())


def classes_of(y):
    if y.ndim > 1:
        y = y.argmax(-1) if y.shape[-1] > 1 else y[..., 0]
    return np.round(y)


def check_classes(y):
    """Refuses to count as classes what is none."""
    several = y.ndim > 1 and y.shape[-1] > 1
    number = y.dtype.kind in "biuf"
    if not number or y.ndim > 2 or not np.allclose(y.sum(-1) if several else y, 1 if several else np.round(y)):
        raise ValueError(
            "class_weight='balanced' needs one class for each example, as integer or one-hot labels; got y of shape"
            f" {y.shape} and dtype {y.dtype} that holds others: give sample_weight"
        )


def split_off(data, fraction):
    """(training part, validation part): the last `fraction` of the examples validates, as in Keras."""
    rows = count(data)
    at = int(np.floor(rows * (1 - fraction)))
    if not 0 < at < rows:
        raise ValueError(f"validation_split={fraction} of {rows} examples leaves an empty part")
    part = lambda begin, end: keras.tree.map_structure(lambda a: a if a is None else rows_of(a, begin, end), data)
    return part(0, at), part(at, rows)


def rows_of(array, begin, end):
    if isinstance(array, ImageFiles):
        return array.select(slice(begin, end))
    if not isinstance(array, tf.SparseTensor):
        return array[begin:end]
    shape = array.shape.as_list()
    return tf.sparse.slice(array, [begin, *(0 for _ in shape[1:])], [end - begin, *shape[1:]])
