"""Pixels are counted from headers alone, and never too low."""

import base64
import struct
import time
import zlib

import numpy as np
import pytest
import tensorflow as tf

from tfnn.serving.server.pixels import pixels

IMAGE = np.random.RandomState(0).randint(0, 256, [7, 11, 3]).astype(np.uint8)


def bmp(width, height, rows=b""):
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54 + len(rows), 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + rows


def frame(width, height):
    """A frame of a GIF with a colour table of its own, of two colours, and two blocks of data."""
    return b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0x80) + bytes(6) + b"\x02\x02\x44\x01\x01\x00\x00"


def gif(width, height, *frames):
    comment = b"\x21\xfe\x02\x2c\x2c\x00"  # bytes within an extension that look like frames
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x91, 0, 0) + bytes(12) + comment + b"".join(frames) + b"\x3b"


# 5 × 3 pixels: lossy, lossless, and extended with a tag of orientation
WEBP = [
    "UklGRjQAAABXRUJQVlA4ICgAAACwAQCdASoFAAMADMDOJZgCsAD0bSBwAPp0bLMedvWHo8+UcfSj08AA",
    "UklGRjgAAABXRUJQVlA4TCsAAAAvBIAAADdwD6bxEAikIZNIRnj+g4qIuIGaAEjYLOCI4k0FKhjR//BNvB8AAA==",
    "UklGRmgAAABXRUJQVlA4WAoAAAAIAAAABAAAAgAAVlA4ICgAAACwAQCdASoFAAMADMDOJZgCsAD0bSBwAPp0bLMedvWHo8+UcfSj08AARVhJRhoAAABNTQAqAAAACAABARIAAwAAAAEAAQAAAAAAAA==",
]


def extended(width, height, flags=0):
    """An extended WebP's header."""
    sides = [(side - 1).to_bytes(3, "little") for side in (width, height)]
    return b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0" + bytes([flags, 0, 0, 0]) + b"".join(sides)


def chunk(name, content):
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_bomb(width, height):
    """Small, and valid: as many zeros as the header claims."""
    press = zlib.compressobj(9)
    rows = b"".join(press.compress(bytes(width + 1)) for _ in range(height)) + press.flush()
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "encoded, expected",
    [
        (tf.io.encode_png(IMAGE).numpy(), 77),
        (tf.io.encode_png(IMAGE[..., :1].astype(np.uint16)).numpy(), 77),
        (tf.io.encode_jpeg(IMAGE).numpy(), 77),
        (tf.io.encode_jpeg(IMAGE, progressive=True).numpy(), 77),
        (tf.io.encode_jpeg(IMAGE, xmp_metadata="\xff\xc0" * 40).numpy(), 77),
        (bmp(11, 7), 77),
        (bmp(11, -7), 77),
        (b"BM" + struct.pack("<IHHIIHH", 0, 0, 0, 26, 12, 11, 7), 77),
        *((base64.b64decode(file), 15) for file in WEBP),
        (extended(2**24, 1), 2**24),
        (extended(70_000, 3000, flags=0x3D), 210_000_000),
        (gif(11, 7), 77),
        (gif(11, 7, frame(5, 5), frame(10, 10)), 125),
        (gif(1, 1, frame(60000, 60000)), 3_600_000_000),
        (png_bomb(3000, 2000), 6_000_000),
    ],
)
def test_pixels_are_those_of_the_header(encoded, expected):
    assert pixels(encoded) == expected


def test_headers_agree_with_the_decoder():
    for encoded in (bmp(4, 2, bytes(24)), tf.io.encode_jpeg(IMAGE).numpy(), png_bomb(30, 20), *map(base64.b64decode, WEBP)):
        assert pixels(encoded) == np.prod(tf.io.decode_image(encoded, expand_animations=False).shape[:2])


@pytest.mark.parametrize(
    "encoded", [b"", b"text", b"RIFF\0\0\0\0WEBPVP8 ", b"\x00\x00\x00\x0cJXL ", b"%PDF", b"RIFF\0\0\0\0WAVE" + bytes(20)]
)
def test_other_formats_are_none(encoded):
    assert pixels(encoded) is None


@pytest.mark.parametrize(
    "whole",
    [tf.io.encode_png(IMAGE).numpy(), tf.io.encode_jpeg(IMAGE).numpy(), bmp(11, 7), gif(11, 7), extended(11, 7) + b"VP8 "],
)
def test_a_cut_header_gives_none_and_never_an_error(whole):
    counts = [pixels(whole[:end]) for end in range(len(whole))]
    assert set(counts) == {None, 77} and counts[:11] == [None] * 11


def test_an_animated_webp_is_none():
    assert pixels(extended(5, 3, flags=2)) is None and pixels(extended(5, 3, flags=0x10)) == 15


def test_a_jpeg_of_very_many_scans_is_none():
    """Each scan is a pass over all pixels: a small file could keep a decoder busy for hours."""
    encoded = tf.io.encode_jpeg(IMAGE, progressive=True).numpy()
    scan = encoded[encoded.rindex(b"\xff\xda") : -2]
    assert pixels(encoded[:-2] + scan * 50 + encoded[-2:]) == 77
    assert pixels(encoded[:-2] + scan * 101 + encoded[-2:]) is None


@pytest.mark.parametrize(
    "begin, block",
    [(b"\xff\xd8\xff\xe0\x00\x02", b"\xff\xe0\x00\x02"), (gif(1, 1)[:-1], b"\x21\x00\x00"), (b"\xff\xd8", b"\xff")],
)
def test_a_file_of_nothing_but_tiny_blocks_takes_no_time(begin, block):
    began = time.perf_counter()
    assert pixels(begin + block * 5_000_000) is None
    assert time.perf_counter() - began < 1
