"""Counts the pixels of an encoded image from its headers, before a decoder allocates memory for them.

A PNG of 50 kB can hold 50,000 × 50,000 equal pixels. Formats: PNG (ISO/IEC 15948, 11.2.2), JPEG (ITU-T T.81, B.2.2), GIF
(GIF89a, 18 and 20), BMP (BITMAPINFOHEADER and the older BITMAPCOREHEADER), WebP (RFC 9649, 2.5 to 2.7 and 3.4; RFC 6386, 9.1).
"""

import re
import struct

SCANS = 100  # most scans of a progressive JPEG: each is a pass over all pixels, and encoders write about 10
BLOCKS = 100_000  # most blocks before a JPEG's frame, or in a GIF: 25 MB at 255 bytes
ANIMATED = 2  # a flag of an extended WebP
MARKER = re.compile(b"\xff[^\x00\xff]")


def pixels(encoded):
    """The number of pixels of a PNG, JPEG, GIF (all frames), BMP or WebP; None for bytes without such a header."""
    for magic, count in FORMATS.items():
        if encoded.startswith(magic):
            try:
                return count(encoded)
            except (struct.error, IndexError):  # cut short
                return None
    return None


def png(encoded):
    name, width, height = struct.unpack_from(">4sII", encoded, 12)
    return width * height if name == b"IHDR" else None


def bmp(encoded):
    (size,) = struct.unpack_from("<I", encoded, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", encoded, 18)
    return abs(width * height)  # a negative height means rows from top to bottom


def jpeg(encoded):
    """Goes from marker to marker up to the frame's header, SOF."""
    if encoded.count(b"\xff\xda") > SCANS:
        return None
    place = 2
    for _ in range(BLOCKS):
        found = MARKER.search(encoded, place)  # skips bytes that belong to no marker, as libjpeg does
        if found is None:
            return None
        place = found.end()
        marker = encoded[place - 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", encoded, place + 3)
            return width * height
        if marker != 0x01 and not 0xD0 <= marker <= 0xD8:  # these stand alone
            place += struct.unpack_from(">H", encoded, place)[0]
    return None


def gif(encoded):
    """Goes from block to block; returns the pixels of the screen or of all frames together, whichever is more."""
    width, height, flags = struct.unpack_from("<HHB", encoded, 6)
    place, frames, inside = 13 + table(flags), 0, False
    for _ in range(BLOCKS):
        kind = encoded[place] if place < len(encoded) else 0x3B
        if inside:  # sub-blocks, each after its length, and a 0
            place, inside = place + 1 + kind, kind > 0 and place < len(encoded)
        elif kind == 0x2C:
            wide, high, flags = struct.unpack_from("<HHB", encoded, place + 5)
            place, frames, inside = place + 11 + table(flags), frames + wide * high, True
        elif kind == 0x21:
            place, inside = place + 2, True
        else:  # the trailer, or the end
            return max(width * height, frames)
    return None


def table(flags):
    """The bytes of the colour table that the flags announce."""
    return 3 * 2 ** (1 + flags % 8) if flags & 0x80 else 0


def webp(encoded):
    """The pixels of the one frame, lossy or lossless, or of an extended file's canvas, which for libwebp must equal the frame.

    None for animations, on which TensorFlow 2.21 writes past the end of their memory.
    """
    kind = encoded[8:16]
    if kind == b"WEBPVP8 ":
        width, height = struct.unpack_from("<HH", encoded, 26)
        return width % 2**14 * (height % 2**14)  # the two bits above hold a scale
    if kind == b"WEBPVP8L":
        (bits,) = struct.unpack_from("<I", encoded, 21)
        return (bits % 2**14 + 1) * (bits // 2**14 % 2**14 + 1)
    if kind == b"WEBPVP8X" and not encoded[20] & ANIMATED:
        width, width_high, height, height_high = struct.unpack_from("<HBHB", encoded, 24)
        return (width + 2**16 * width_high + 1) * (height + 2**16 * height_high + 1)
    return None


FORMATS = {b"\x89PNG\r\n\x1a\n": png, b"\xff\xd8\xff": jpeg, b"GIF8": gif, b"BM": bmp, b"RIFF": webp}
