"""Images of every depth and number of channels, and how they become others."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from numpy.testing import assert_allclose
from PIL import Image

from data.files.decode import BadImageError, decode_image
from data.files.pixels import read_header, read_pixels, resize, value_limits

H, W = 7, 9


def numbers(*shape: int, dtype: type = np.uint16) -> np.ndarray:
    random = np.random.default_rng(0)
    if dtype is np.float32:
        return (random.random(shape) * 4000 - 1000).astype(dtype)
    return random.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


def write(path: Path, pixels: np.ndarray) -> Path:
    """Write pixels (H, W) or (H, W, C) in RGB as what the name says."""
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        assert cv2.imwrite(str(path), pixels[:, :, ::-1] if pixels.ndim == 3 else pixels)
    return path


def png(path: Path, kind: int, pixels: np.ndarray) -> Path:
    """Write a 16-bit PNG of a colour type that no library here writes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


@pytest.mark.parametrize(
    ("name", "shape", "dtype"),
    [
        ("grey8.png", (H, W), np.uint8),
        ("colour8.png", (H, W, 3), np.uint8),
        ("grey16.png", (H, W), np.uint16),
        ("colour16.png", (H, W, 3), np.uint16),
        ("grey8.tif", (H, W), np.uint8),
        ("colour8.tif", (H, W, 3), np.uint8),
        ("grey16.tif", (H, W), np.uint16),
        ("colour16.tif", (H, W, 3), np.uint16),
        *(
            (f"{c}x{np.dtype(d).name}{e}", (H, W, c), d)
            for c in (2, 4, 6)
            for d in (np.uint8, np.uint16)
            for e in (".npy",)
        ),
        ("2_channels.tif", (H, W, 2), np.uint16),
        ("6_channels.tif", (H, W, 6), np.uint8),
        ("grey8.npy", (H, W), np.uint8),
        ("colour16.npy", (H, W, 3), np.uint16),
    ],
)
def test_pixels_are_read_as_they_are(tmp_path, name, shape, dtype):
    pixels = numbers(*shape, dtype=dtype)
    path = write(tmp_path / name, pixels)
    header = read_header(path)
    depth = 8 * np.dtype(dtype).itemsize
    channels = shape[2] if len(shape) == 3 else 1
    assert header[:4] == (H, W, channels, depth)
    found = read_pixels(path, channels, depth)
    assert found.dtype == dtype
    assert (found == pixels.reshape(H, W, channels)).all()


@pytest.mark.parametrize("name", ["stack.npy", "stack.tif"])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_channels_may_come_first(tmp_path, name, channels):
    pixels = numbers(channels, H, W)
    path = write(tmp_path / name, pixels)
    assert read_header(path)[:4] == (H, W, channels, 16)
    assert (read_pixels(path, channels, 16) == pixels.transpose(1, 2, 0)).all()


def test_compressed_tiffs_are_read_without_imagecodecs(tmp_path):
    for i, pixels in enumerate((numbers(H, W), numbers(H, W, 3))):
        path = tmp_path / f"{i}.tif"
        lzw = [cv2.IMWRITE_TIFF_COMPRESSION, 5]
        assert cv2.imwrite(str(path), pixels[:, :, ::-1] if i else pixels, lzw)
        assert (read_pixels(path, 3 if i else 1, 16) == pixels.reshape(H, W, -1)).all()
        path = tmp_path / f"deflate{i}.tif"
        tifffile.imwrite(path, pixels, compression="zlib")
        assert (read_pixels(path, 3 if i else 1, 16) == pixels.reshape(H, W, -1)).all()


def test_white_may_be_zero(tmp_path):
    pixels = numbers(H, W)
    tifffile.imwrite(tmp_path / "negative.tif", pixels, photometric="miniswhite")
    assert (read_pixels(tmp_path / "negative.tif", 1, 16)[:, :, 0] == 65535 - pixels).all()


@pytest.mark.parametrize(("kind", "channels"), [(4, 1), (6, 3)])
def test_16_bit_transparency_becomes_white(tmp_path, kind, channels):
    pixels = numbers(H, W, channels + 1)
    pixels[0, :, -1], pixels[1, :, -1] = 0, 65535
    path = png(tmp_path / "image.png", kind, pixels)
    assert read_header(path)[:4] == (H, W, channels, 16)
    found = read_pixels(path, channels, 16)
    assert (found[0] == 65535).all()
    assert (found[1] == pixels[1, :, :channels]).all()


def test_rgba_is_four_channels_for_who_asks_for_four(tmp_path):
    pixels = numbers(H, W, 4, dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    assert read_header(path).channels == 3
    assert (read_pixels(path, 4, 8) == pixels).all()


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_8_bits_are_what_labelled_data_reads(tmp_path, suffix, channels):
    path = tmp_path / f"image{suffix}"
    Image.fromarray(numbers(32, 48, 3, dtype=np.uint8)).save(path)
    found = resize(read_pixels(path, channels, 8), (16, 20)).transpose(2, 0, 1)
    assert (found == decode_image(str(path), (16, 20), channels).numpy()).all()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_the_header_knows_the_orientation(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"turned{suffix}"
    Image.new("RGB", (W, H)).save(path, exif=exif)
    assert read_header(path)[:2] == (W, H)
    assert read_pixels(path, 3, 8).shape == (W, H, 3)


# Depth


@pytest.mark.parametrize("name", ["image.png", "image.tif", "image.npy"])
@pytest.mark.parametrize("shape", [(H, W), (H, W, 3)])
def test_8_bits_of_16_are_the_upper_byte_and_16_of_8_repeat_it(tmp_path, name, shape):
    deep = numbers(*shape)
    found = read_pixels(write(tmp_path / name, deep), 3 if len(shape) == 3 else 1, 8)
    assert found.dtype == np.uint8
    assert (found == (deep >> 8).reshape(H, W, -1)).all()
    flat = numbers(*shape, dtype=np.uint8)
    found = read_pixels(write(tmp_path / f"8{name}", flat), 3 if len(shape) == 3 else 1, 16)
    assert found.dtype == np.uint16
    assert (found == flat.astype(np.uint16).reshape(H, W, -1) * 257).all()


@pytest.mark.parametrize("name", ["image.tif", "image.npy"])
def test_float_numbers_span_their_range_and_are_clipped_to_it(tmp_path, name):
    values = np.array([[-1000, 0, 1000], [3000, -2000, 5000]], np.float32)
    path = write(tmp_path / name, values)
    assert read_header(path)[:4] == (2, 3, 1, 32)
    found = read_pixels(path, 1, 32, (-1000, 3000))
    assert found.dtype == np.float32
    assert_allclose(found[:, :, 0], np.array([[-1, -0.5, 0], [1, -1, 1]]))
    assert read_pixels(path, 1, 8, (-1000, 3000))[:, :, 0].tolist() == [[0, 64, 128], [255, 0, 255]]
    assert read_pixels(path, 1, 16, (-1000, 3000))[:, :, 0].tolist() == [[0, 16384, 32768], [65535, 0, 65535]]
    assert value_limits(path) == (-2000, 5000)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float16, np.float64])
def test_other_numbers_are_read_as_float(tmp_path, dtype):
    path = write(tmp_path / "image.npy", np.array([[-100, 100]], dtype))
    assert read_header(path).depth == 32
    assert read_pixels(path, 1, 32, (-100, 100)).ravel().tolist() == [-1, 1]


def test_bytes_become_float(tmp_path):
    path = write(tmp_path / "image.png", np.array([[0, 255]], np.uint8))
    assert read_pixels(path, 1, 32).ravel().tolist() == [-1, 1]
    np.save(tmp_path / "mask.npy", np.array([[False, True]]))
    assert read_pixels(tmp_path / "mask.npy", 1, 8).ravel().tolist() == [0, 255]


# Channels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_serves_as_colour_and_colour_as_grey(tmp_path, dtype):
    depth = 8 * np.dtype(dtype).itemsize
    grey = numbers(H, W, dtype=dtype)
    path = write(tmp_path / "grey.npy", grey)
    assert (read_pixels(path, 3, depth) == grey[:, :, None]).all()
    colour = numbers(H, W, 3, dtype=dtype)
    path = write(tmp_path / "colour.npy", colour)
    assert_allclose(read_pixels(path, 1, depth)[:, :, 0], colour @ [0.299, 0.587, 0.114], atol=0.51)


# Size


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_every_depth_is_resampled_alike(dtype, channels):
    unit = np.random.default_rng(0).random((40, 30, channels))
    top = {np.uint8: 255, np.uint16: 65535}.get(dtype, 1)
    pixels = (unit * 2 - 1).astype(dtype) if dtype is np.float32 else (unit * top).round().astype(dtype)
    found = resize(pixels, (10, 20))
    assert found.dtype == dtype
    assert found.shape == (10, 20, channels)
    found = (found + 1) / 2 if dtype is np.float32 else found / top
    reference = np.stack(
        [
            np.asarray(Image.fromarray(p.astype(np.float32)).resize((20, 10), Image.Resampling.BICUBIC))
            for p in np.moveaxis(unit, 2, 0)
        ],
        2,
    )
    assert_allclose(found, reference.clip(0, 1), atol=0.006 if dtype is np.uint8 else 2e-5)


def test_an_image_of_the_right_size_is_left_alone():
    pixels = numbers(H, W, 3)
    assert resize(pixels, (H, W)) is pixels


# Bad files


def damaged(folder: Path) -> dict[str, str]:
    """Write files that cannot be read as asked; return what is said of each."""
    write(folder / "cut.png", numbers(64, 64, 3))
    write(folder / "cut.tif", numbers(64, 64, 3))
    write(folder / "cut.npy", numbers(64, 64, 3))
    for name in ("cut.png", "cut.tif", "cut.npy"):
        (folder / name).write_bytes((folder / name).read_bytes()[:3000])
    (folder / "text.png").write_text("no image")
    (folder / "text.tif").write_text("no image")
    (folder / "text.npy").write_text("no image")
    (folder / "empty.npy").touch()
    np.save(folder / "pickle.npy", np.array([{}]), allow_pickle=True)
    np.save(folder / "complex.npy", np.zeros((H, W), np.complex64))
    np.save(folder / "four.npy", np.zeros((2, H, W, 3), np.uint8))
    np.save(folder / "row.npy", np.zeros(9, np.uint8))
    np.save(folder / "none.npy", np.zeros((0, 4, 3), np.uint8))
    np.save(folder / "nan.npy", np.full((H, W, 3), np.nan, np.float32))
    np.save(folder / "two.npy", np.zeros((H, W, 2), np.uint8))
    return {
        "cut.png": "OpenCV cannot decode it",
        "cut.tif": ".",
        "cut.npy": ".",
        "text.png": "cannot identify image file",
        "text.tif": "cannot identify image file",
        "text.npy": ".",
        "empty.npy": ".",
        "pickle.npy": "Python objects",
        "complex.npy": "complex64 are no pixels",
        "four.npy": r"an array of \(2, 7, 9, 3\) is no image",
        "row.npy": r"an array of \(9,\) is no image",
        "none.npy": r"an array of \(0, 4, 3\) is no image",
        "nan.npy": "not finite",
        "two.npy": "it has 2 channels, not 3: see --input_nc",
        "gone.png": "No such file",
    }


def test_bad_files_say_why(tmp_path):
    for name, reason in damaged(tmp_path).items():
        with pytest.raises(BadImageError, match=reason):
            read_pixels(tmp_path / name, 3, 8, (0, 1))


def test_float_numbers_need_a_range(tmp_path):
    path = write(tmp_path / "image.npy", numbers(H, W, dtype=np.float32))
    with pytest.raises(ValueError, match=r"image\.npy holds float numbers: give their range with --value_range LO,HI"):
        read_pixels(path, 1, 32)
