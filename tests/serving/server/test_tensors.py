"""Data that fits its datatype and shape becomes that array; all else is refused in one line."""

import struct

import numpy as np
import pytest

from tfnn.serving.server.refused import Refused
from tfnn.serving.server.tensors import DATATYPES, decode, listed, packed


@pytest.mark.parametrize("datatype", DATATYPES)
def test_arrays_come_back_from_lists_and_from_raw_bytes(datatype):
    array = np.array([[1, 0, 1], [1, 1, 0]]).astype(DATATYPES[datatype])
    if datatype == "BYTES":
        array = np.array([[b"a", b"", b"\xff\x00"], [b"four", b"5", b"66"]], object)
    raw = decode("x", datatype, [2, 3], packed(array))
    assert raw.dtype == array.dtype and raw.tolist() == array.tolist()
    if datatype != "BYTES":
        for data in (listed(array), array.tolist()):
            again = decode("x", datatype, [2, 3], data)
            assert again.dtype == array.dtype and again.tolist() == array.tolist()


def test_texts_are_utf_8_or_base64():
    assert decode("x", "BYTES", [2], ["é", b"\xff"]).tolist() == ["é".encode(), b"\xff"]
    assert decode("x", "BYTES", [1], ["AAEC"], encoded=True).tolist() == [b"\0\1\2"]
    assert listed(np.array(["é".encode()], object)) == ["é"]


def test_whole_numbers_are_taken_for_floats():
    assert decode("x", "FP32", [2], [1, 2]).dtype == np.float32


REFUSED = [
    ("UINT8", [2], [1], "wants 2 elements, but the data has 1"),
    ("UINT8", [2], [1, 2, 3], "wants 2 elements, but the data has 3"),
    ("UINT8", [2, 2], [[1, 2], [3]], "different lengths"),
    ("UINT8", [4, 1], [[1, 2], [3, 4]], "nested as [2, 2]"),
    ("UINT8", [1], [256], "UINT8 holds 0 to 255, the data 256 to 256"),
    ("UINT8", [1], [-1], "UINT8 holds 0 to 255"),
    ("INT8", [1], [128], "INT8 holds -128 to 127"),
    ("UINT64", [1], [-1], "UINT64 holds"),
    ("INT64", [1], [2**63], "INT64 holds"),
    ("UINT8", [1], [2**70], "not consist of numbers of datatype UINT8"),
    ("UINT8", [1], [1.5], "not consist of numbers"),
    ("UINT8", [1], [True], "not consist of numbers"),
    ("UINT8", [1], ["1"], "not consist of numbers"),
    ("FP32", [1], [None], "not consist of numbers"),
    ("FP32", [1], [{}], "not consist of numbers"),
    ("FP32", [1], [1e300], "beyond FP32"),
    ("BOOL", [1], [1], "not consist of numbers"),
    ("UINT8", [0], [], "each dimension must be at least 1"),
    ("UINT8", [], [1], "each dimension must be at least 1"),
    ("UINT8", [-1], [1], "each dimension must be at least 1"),
    ("UINT8", [10**9] * 9, [1], "but the data has 1"),
    ("UINT8", [1], [], "but the data has 0"),
    ("FP32", [1], b"123", "wants 4 bytes, but the data has 3"),
    ("FP32", [10**9, 10**9], b"1234", "wants 4000000000000000000 bytes"),
    ("BYTES", [1], [1], "flat list of texts"),
    ("BYTES", [1], [["a"]], "flat list of texts"),
    ("BYTES", [1], "a", "must be a list"),
    ("UINT8", [1], {"0": 1}, "must be a list"),
    ("BYTES", [2], ["a"], "wants 2 elements"),
    ("BYTES", [1], b"\1\0", "end within a length"),
    ("BYTES", [1], struct.pack("<I", 2**32 - 1) + b"abc", "end within an element of 4294967295 bytes"),
    ("BYTES", [1], struct.pack("<I", 0) * 2, "wants 1 elements, but the data has 2"),
]


@pytest.mark.parametrize("datatype, shape, data, reason", REFUSED)
def test_refuses(datatype, shape, data, reason):
    with pytest.raises(Refused) as refused:
        decode("x", datatype, shape, data)
    assert reason in str(refused.value) and "\n" not in str(refused.value) and refused.value.status == 400


@pytest.mark.parametrize("text", ["ä", "A", "AA=A", "AAEC\n", "!!!!"])
def test_refuses_what_is_not_base64(text):
    with pytest.raises(Refused, match="not base64"):
        decode("x", "BYTES", [1], [text], encoded=True)


def test_a_reason_is_never_long():
    assert len(str(Refused("x" * 10_000))) == 500
