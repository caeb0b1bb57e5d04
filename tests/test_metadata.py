"""Metadata never costs an image, and says at every depth which way up it is."""

import struct
import zlib

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from data.files.decode import BadImageError, decode_image
from data.files.pixels import read_header, read_pixels, read_resized
from tests.test_pixels import numbers
from util.open_image import MAX_PIXELS, allow_pixels

H, W = 6, 10


def chunk(name, content, crc=None):
    crc = zlib.crc32(name + content) if crc is None else crc
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def with_chunk(path, more):
    """Write a PNG of 8 bits with ``more`` between its header and its pixels; return its pixels."""
    pixels = numbers(H, W, 3, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:33] + more + content[33:])
    return pixels


def segment(marker, content):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def with_segment(path, more):
    pixels = numbers(H, W, 3, dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=95)
    with Image.open(path) as image:
        pixels = np.asarray(image)
    content = path.read_bytes()
    path.write_bytes(content[:2] + more + content[2:])
    return pixels


@pytest.mark.parametrize(
    "more",
    [
        chunk(b"iCCP", b"profile\0\0no deflate at all"),
        chunk(b"iCCP", b"x"),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        chunk(b"eXIf", b"no Exif"),
        chunk(b"tEXt", b"key\0text", crc=1),
        chunk(b"zTXt", b"key\0\0" + zlib.compress(bytes(10**7))),
        chunk(b"iTXt", b""),
        chunk(b"gAMA", b"1"),
        chunk(b"acTL", b"\0\0\0\0\0\0\0\0"),
    ],
)
def test_what_is_wrong_beside_the_pixels_of_a_png_costs_nothing(tmp_path, more):
    path = tmp_path / "a.png"
    pixels = with_chunk(path, more)
    assert read_header(path)[:3] == (H, W, 3)
    assert (read_pixels(path, 3, 8) == pixels).all()
    assert (decode_image(str(path), (H, W), 3).numpy() == pixels.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    "more",
    [
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xE2, b"ICC_PROFILE\0\x01\x09no profile"),
        segment(0xE2, b"MPF\0II*\0"),
        segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        segment(0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x09\xff\xff\xff\xff"),
        segment(0xED, b"Photoshop 3.0\x008BIM"),
    ],
)
def test_what_is_wrong_beside_the_pixels_of_a_jpeg_costs_nothing(tmp_path, more):
    path = tmp_path / "a.jpg"
    pixels = with_segment(path, more)
    assert (read_pixels(path, 3, 8) == pixels).all()
    assert (decode_image(str(path), (H, W), 3).numpy() == pixels.transpose(2, 0, 1)).all()


def test_damaged_pixels_stay_damaged(tmp_path):
    path = tmp_path / "a.png"
    with_chunk(path, b"")
    content = bytearray(path.read_bytes())
    content[20] ^= 1  # the width
    path.write_bytes(content)
    with pytest.raises(BadImageError):
        read_pixels(path, 3, 8)


# Which way up


def write_turned(path, pixels, number):
    exif = Image.Exif()
    exif[0x0112] = number
    if path.suffix == ".tif":
        tags = [(0x0112, "H", 1, number, True)]
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", extratags=tags)
    elif pixels.dtype == np.uint16 and pixels.ndim == 3:  # Pillow writes no 16-bit colours
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
        head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, 2, 0, 0, 0)
        chunks = (b"IHDR", head), (b"eXIf", exif.tobytes()[6:]), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks))
    else:
        Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_images_stand_upright_at_every_depth(tmp_path, number, suffix, dtype, channels):
    path, pixels = tmp_path / f"a{suffix}", numbers(H, W, *([3] * (channels == 3)), dtype=dtype)
    write_turned(path, pixels, number)
    exif = Image.Exif()
    exif[0x0112] = number
    planes = []
    for plane in np.moveaxis(pixels.reshape(H, W, channels), 2, 0):  # Pillow's own idea of it, plane by plane
        image = Image.fromarray((plane >> 8).astype(np.uint8) if dtype == np.uint16 else plane)
        image.getexif()[0x0112] = number
        planes.append(np.asarray(ImageOps.exif_transpose(image)))
    found = read_pixels(path, channels, 8)
    assert read_header(path)[:2] == found.shape[:2]
    assert (found == np.stack(planes, 2)).all()


def test_the_orientation_may_stand_in_xmp_alone(tmp_path):
    path = tmp_path / "a.jpg"
    with_segment(path, segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>'))
    assert read_header(path)[:2] == (W, H) == read_pixels(path, 3, 8).shape[:2]


XMP = b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>'
EXIF = Image.Exif()
EXIF[0x0112] = 6


@pytest.mark.parametrize(("kind", "content"), [(b"eXIf", EXIF.tobytes()[6:]), (b"iTXt", XMP)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_orientation_of_a_png_may_follow_its_pixels(tmp_path, kind, content, dtype, channels):
    path, pixels = tmp_path / "a.png", numbers(H, W, *([3] * (channels == 3)), dtype=dtype)
    cv2.imwrite(str(path), pixels)
    (tmp_path / "plain.png").write_bytes(path.read_bytes())
    whole, end = path.read_bytes()[:-12], path.read_bytes()[-12:]  # IEND is last
    path.write_bytes(whole + chunk(b"tEXt", b"a\0b") + chunk(kind, content) + end)
    depth = 8 * np.dtype(dtype).itemsize
    plain = read_pixels(tmp_path / "plain.png", channels, depth)
    assert read_header(path)[:2] == (W, H)
    assert (read_pixels(path, channels, depth) == np.rot90(plain, -1)).all()
    upright = read_resized(path, (W, H), channels)
    assert (upright == np.rot90(read_resized(tmp_path / "plain.png", (H, W), channels), -1)).all()


# Very large images


@pytest.fixture
def limit():
    yield allow_pixels
    allow_pixels(MAX_PIXELS)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_more_pixels_than_are_allowed_are_refused_by_the_flag_that_allows_them(tmp_path, limit, suffix):
    path = tmp_path / f"a{suffix}"
    Image.new("RGB", (30, 10)).save(path)
    limit(100)
    with pytest.raises(BadImageError, match=r"^300 pixels are more than --max_pixels 100 allows"):
        read_header(path)
    with pytest.raises(BadImageError, match=r"^300 pixels are more than --max_pixels 100 allows"):
        decode_image(str(path), (8, 8), 3)
    limit(300)
    assert read_header(path)[:2] == (10, 30)
    assert decode_image(str(path), (8, 8), 3).shape == (3, 8, 8)
