"""Images stand as the camera was held."""

import base64
import struct

import numpy as np
import pytest
import tensorflow as tf

from tfnn.data.exif import orientation, upright
from tfnn.data.pixels import decode, is_webp_animation

PAPER = np.arange(6).reshape(2, 3, 1)  # how it should look
# what the tag means: where the stored image's row 0 and column 0 are seen (Exif 2.3, table 6)
STORED = {
    1: PAPER,
    2: PAPER[:, ::-1],
    3: PAPER[::-1, ::-1],
    4: PAPER[::-1],
    5: PAPER.transpose(1, 0, 2),
    6: np.rot90(PAPER),
    7: PAPER.transpose(1, 0, 2)[::-1, ::-1],
    8: np.rot90(PAPER, -1),
}
WEBP = "UklGRiAAAABXRUJQVlA4TBQAAAAvAkABAA8wZIM8MvMfeJiDiP7HAQ=="  # 3 rows of (200, 100, 50) over 3 of black


def with_exif(jpeg, tag, order="<", before=b"", entries=1):
    """JPEG bytes with a segment that holds the tag behind `entries` − 1 others."""
    others = b"".join(struct.pack(order + "HHII", 0x0100 + index, 3, 1, 5) for index in range(entries - 1))
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, tag, 0)
    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    tiff = head + struct.pack(order + "H", entries) + others + entry + struct.pack(order + "I", 0)
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + before + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def jpeg(levels):
    """Squares of 16 × 16 pixels, each of one grey."""
    return tf.io.encode_jpeg(np.asarray(levels, np.uint8).repeat(16, 0).repeat(16, 1), quality=100).numpy()


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("tag", STORED)
def test_a_photograph_is_turned_as_its_tag_asks(tag, order):
    image = decode(with_exif(jpeg(40 * STORED[tag]), tag, order)).numpy()
    assert image.shape == (32, 48, 1)
    np.testing.assert_allclose(image[8::16, 8::16], 40 * PAPER, atol=3)


@pytest.mark.parametrize("tag", STORED)
def test_the_eight_ways_to_hold_a_camera(tag):
    np.testing.assert_array_equal(upright(tf.constant(STORED[tag]), tf.constant(tag)), PAPER)


def test_the_tag_is_found_behind_other_segments_and_entries():
    comment = b"\xff\xfe" + struct.pack(">H", 60_000) + b"x" * 59_998
    plain = jpeg(PAPER)
    assert int(orientation(with_exif(plain, 6, before=comment, entries=5))) == 6
    assert int(orientation(with_exif(plain, 8, ">", entries=3))) == 8


def test_what_has_no_tag_is_upright():
    plain = jpeg(PAPER)
    odd = with_exif(plain, 9), with_exif(plain, 0), with_exif(plain, 6)[:25], plain, b"\xff\xd8", b"", b"x"
    for encoded in odd:
        assert int(orientation(encoded)) == 1
    assert int(orientation(b"\x89PNG" + with_exif(plain, 6))) == 1
    far = plain[:2] + b"\xff\xe1\x00\x10Exif\0\0II*\0\xff\xff\xff\x7f" + plain[2:]  # its directory lies behind the end
    assert int(orientation(far)) == 1


def test_it_runs_in_a_graph_for_images_of_any_size():
    graph = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])
    for tag in 1, 6, 3:
        assert graph(with_exif(jpeg(STORED[tag]), tag)).shape == (32, 48, 1)
    assert graph(tf.io.encode_png(PAPER.astype(np.uint8))).shape == (2, 3, 1)
    assert graph.experimental_get_tracing_count() == 1


def test_webp_is_read():
    image = decode(base64.b64decode(WEBP)).numpy()
    assert image.shape == (6, 3, 3) and (image[:3] == (200, 100, 50)).all() and (image[3:] == 0).all()


def test_webp_animations_are_refused():
    """TensorFlow's decoder would corrupt the process's memory."""
    head = b"RIFF\x64\0\0\0WEBPVP8X\x0a\0\0\0"
    assert bool(is_webp_animation(head + b"\x02" + b"\0" * 60)) and bool(is_webp_animation(head + b"\x12\0"))
    for still in head + b"\x10" + b"\0" * 60, base64.b64decode(WEBP), b"", head[:12], jpeg(PAPER):
        assert not bool(is_webp_animation(still))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(head + b"\x02" + b"\0" * 60)
