"""BMP files whose bytes are places in a palette, and compressed ones."""

import struct

import numpy as np
import pytest
import tensorflow as tf

from tfnn.data.pixels import decode

PLACES = np.random.default_rng(0).integers(0, 50, (7, 8), dtype=np.uint8)  # rows of 8 bytes need no padding


def bmp(palette, compression=0, header=40, colours=None):
    """A file of `PLACES` in a palette (N, 3) of RGB."""
    table = b"".join(bytes([blue, green, red, 0]) for red, green, blue in palette.tolist())
    start = 14 + header + len(table)
    height, width = PLACES.shape
    sizes = struct.pack("<IiiHHIIiiII", header, width, height, 1, 8, compression, 0, 0, 0, colours or len(palette), 0)
    head = b"BM" + struct.pack("<IHHI", start + PLACES.size, 0, 0, start) + sizes.ljust(header, b"\0")
    return head + table + PLACES[::-1].tobytes()  # from the lowest row up


COLOURS = np.random.default_rng(1).integers(0, 256, (50, 3), dtype=np.uint8)
GREYS = np.arange(256, dtype=np.uint8)[:, None].repeat(3, 1)


@pytest.mark.parametrize("header", [40, 108, 124])  # BITMAPINFOHEADER, version 4 and 5
def test_colours_are_those_of_the_palette(header):
    np.testing.assert_array_equal(decode(bmp(COLOURS, header=header)), COLOURS[PLACES])


def test_greys_are_one_channel_in_the_order_of_the_palette():
    np.testing.assert_array_equal(decode(bmp(GREYS))[..., 0], PLACES)
    np.testing.assert_array_equal(decode(bmp(GREYS[::-1]))[..., 0], 255 - PLACES)
    assert decode(bmp(GREYS)).shape == (7, 8, 1)


def test_other_files_and_what_is_damaged():
    image = np.random.default_rng(2).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decode(tf.io.encode_png(image)), image)
    for damaged in bmp(COLOURS, compression=1), bmp(COLOURS)[:60], bmp(COLOURS)[:20], b"BM", b"":
        with pytest.raises(tf.errors.InvalidArgumentError):
            decode(damaged)
