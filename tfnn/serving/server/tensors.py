"""Converts tensors of the KServe v2 protocol ("Open Inference Protocol", Tensor Data) to numpy arrays and back.

A tensor's data is a list or bytes. Lists, flat or nested in rows, come from JSON or gRPC's typed contents. Bytes come from
gRPC's raw contents or REST's binary extension; they hold little-endian numbers, or, for BYTES, each element after its length
in four bytes.
"""

import base64
import binascii
import math
import struct

import numpy as np

from tfnn.serving.server.refused import Refused

DATATYPES = {
    "BOOL": np.dtype("?"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
    "BYTES": np.dtype(object),
}
NAMES = {dtype: name for name, dtype in DATATYPES.items()}
TAKES = {"b": "b", "u": "ui", "i": "ui", "f": "uif"}  # numpy's kinds of numbers that a list may hold, by the wanted kind


def decode(name, datatype, shape, data, encoded=False):
    """The numpy array of an input.

    Args:
        shape: list of int.
        data: a list or bytes, as above.
        encoded: whether the texts in a list of BYTES are base64.

    Raises:
        Refused: if data, datatype and shape do not agree.
    """
    if not isinstance(data, list | bytes):
        raise Refused(f"{name}: the data must be a list")
    if not shape or min(shape) < 1:
        raise Refused(f"{name} has shape {shape}; each dimension must be at least 1")
    size = math.prod(shape)
    if datatype == "BYTES":
        elements = unpacked(name, data) if isinstance(data, bytes) else [element(name, one, encoded) for one in data]
        counted(name, shape, size, len(elements))
        array = np.empty(size, object)
        array[:] = elements
    elif isinstance(data, bytes):
        dtype = DATATYPES[datatype]
        counted(name, shape, size * dtype.itemsize, len(data), " bytes")
        array = np.frombuffer(data, dtype)
    else:
        array = numbers(name, datatype, shape, size, data)
    return array.reshape(shape)


def counted(name, shape, wanted, given, unit=""):
    if given != wanted:
        raise Refused(f"{name} has shape {shape}, which wants {wanted}{unit or ' elements'}, but the data has {given}")


def numbers(name, datatype, shape, size, data):
    """The array of a list of numbers, which is flat or nested like `shape`."""
    wanted = DATATYPES[datatype]
    try:
        array = np.array(data)
    except ValueError:
        raise Refused(f"{name}: the data's rows are of different lengths") from None
    if array.size and array.dtype.kind not in TAKES[wanted.kind]:
        raise Refused(f"{name}: the data does not consist of numbers of datatype {datatype}")
    if array.ndim > 1 and list(array.shape) != shape:
        raise Refused(f"{name} has shape {shape}, but the data is nested as {list(array.shape)}")
    counted(name, shape, size, array.size)
    if wanted.kind in "ui":
        low, high = np.iinfo(wanted).min, np.iinfo(wanted).max
        if array.min() < low or array.max() > high:
            raise Refused(f"{name}: {datatype} holds {low} to {high}, the data {array.min()} to {array.max()}")
    with np.errstate(over="ignore"):
        array = array.astype(wanted)
    if wanted.kind == "f" and not np.isfinite(array).all():
        raise Refused(f"{name}: the data holds numbers beyond {datatype}")
    return array


def element(name, one, encoded):
    """One element of BYTES, given as a text or as bytes."""
    if not isinstance(one, str | bytes):
        raise Refused(f"{name}: BYTES are a flat list of texts")
    try:
        return base64.b64decode(one, validate=True) if encoded else one.encode() if isinstance(one, str) else one
    except (binascii.Error, ValueError):
        raise Refused(f"{name}: not base64") from None


def unpacked(name, data):
    """Splits raw BYTES into their elements."""
    elements, place = [], 0
    while place < len(data):
        if place + 4 > len(data):
            raise Refused(f"{name}: raw BYTES end within a length")
        (length,) = struct.unpack_from("<I", data, place)
        place += 4
        if place + length > len(data):
            raise Refused(f"{name}: raw BYTES end within an element of {length} bytes")
        elements.append(data[place : place + length])
        place += length
    return elements


def listed(array):
    """The array as a flat list for JSON; bytes become UTF-8 texts."""
    flat = array.ravel().tolist()
    return [one.decode("utf-8", "replace") for one in flat] if array.dtype == object else flat


def packed(array):
    """The array as bytes, as gRPC's raw contents hold it."""
    if array.dtype == object:
        return b"".join(struct.pack("<I", len(one)) + one for one in array.ravel())
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
