"""Channels: what is not declared as transparency is data; what is becomes white at every depth."""

import struct
import zlib
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from data.files.decode import BadImageError, decode_image
from data.files.notes import notes
from data.files.pixels import read_header, read_pixels, read_resized
from tests.test_findings import opened
from tests.test_metadata import chunk

H, W = 6, 9


def numbers(channels, dtype):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (H, W, channels), endpoint=True).astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("channels", "how"),
    [
        (4, {"photometric": "minisblack", "planarconfig": "contig"}),
        (4, {"photometric": "rgb", "extrasamples": [0]}),
        (5, {"photometric": "rgb", "extrasamples": [0, 0]}),
        (2, {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": [0]}),
        (4, {"photometric": "minisblack", "planarconfig": "separate"}),
    ],
)
def test_what_is_not_declared_as_transparency_is_data(tmp_path, dtype, channels, how):
    pixels = numbers(channels, dtype)
    stored = np.moveaxis(pixels, 2, 0) if how.get("planarconfig") == "separate" else pixels
    tifffile.imwrite(tmp_path / "0.tif", np.ascontiguousarray(stored), **how)
    header = read_header(tmp_path / "0.tif")
    assert (header.height, header.width, header.channels) == (H, W, channels)
    assert (read_pixels(tmp_path / "0.tif", channels, header.depth) == pixels).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("channels", [2, 4])
def test_declared_transparency_becomes_white_at_every_depth(tmp_path, dtype, kind, channels):
    pixels, most = numbers(channels, dtype), np.iinfo(dtype).max
    pixels[0, :, -1], pixels[1, :, -1] = 0, most
    if kind == "assocalpha":
        pixels[0] = 0
    photometric = "rgb" if channels == 4 else "minisblack"
    planar: Any = {"planarconfig": "contig"} if channels == 2 else {}
    tifffile.imwrite(tmp_path / "0.tif", pixels, photometric=photometric, extrasamples=[kind], **planar)
    header = read_header(tmp_path / "0.tif")
    assert header.channels == channels - 1
    found = read_pixels(tmp_path / "0.tif", channels - 1, header.depth)
    assert (found[0] == most).all()
    assert (found[1] == pixels[1, :, :-1]).all()
    if (channels, dtype) == (4, np.uint16):
        assert (read_pixels(tmp_path / "0.tif", 4, 16) == pixels).all()


def test_near_infrared_trains_as_the_fourth_channel(tmp_path):
    for i in range(3):
        (tmp_path / "trainA").mkdir(exist_ok=True)
        tifffile.imwrite(tmp_path / f"trainA/{i}.tif", numbers(4, np.uint8), photometric="minisblack")
    assert opened("single", tmp_path, phase="train", preprocess="none")[0]["A"].shape == (4, H, W)


@pytest.mark.parametrize("compression", ["ZSTD", "LZMA_ALIKE", "JPEG_2000_LOSSY"])
def test_a_sound_file_that_needs_a_package_is_not_called_damaged(tmp_path, monkeypatch, compression):
    tifffile.imwrite(tmp_path / "0.tif", numbers(3, np.uint16), photometric="rgb", compression="zlib")

    def refuse(*_, **__):
        raise ValueError(f"<COMPRESSION.{compression}: 50000> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPageSeries, "asarray", refuse)
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    with pytest.raises(BadImageError, match=r"sound, but its compression \w+ needs a package: pip install imagecodecs"):
        read_pixels(tmp_path / "0.tif", 3, 16)


@pytest.mark.parametrize("place", [0, 450, 899])
def test_one_colour_image_among_hundreds_of_grey_ones_is_found(tmp_path, place):
    for i in range(900):
        if i != place:
            (tmp_path / f"{i}.pgm").write_bytes(b"P5 1 1 255 x")
    (tmp_path / f"{place}.ppm").write_bytes(b"P6 1 1 255 xyz")
    assert opened("image_folder", tmp_path, val_fraction=0.0).spec.output_nc == 3


@pytest.mark.parametrize("size", [10, 2_000_000, 9_000_000])
def test_texts_in_a_png_never_cost_the_image(tmp_path, size):
    info = PngImagePlugin.PngInfo()
    info.add_text("prompt", "x" * size, zip=True)
    Image.new("RGB", (8, 8), "red").save(tmp_path / "0.png", pnginfo=info)
    assert decode_image(str(tmp_path / "0.png"), (8, 8), 3)[0].min() == 255
    assert (read_pixels(tmp_path / "0.png", 3, 8)[:, :, 0] == 255).all()


@pytest.mark.parametrize(("bits", "clear"), [(1, 1), (2, 1), (4, 9)])
def test_the_transparent_grey_of_few_bits_becomes_white(tmp_path, bits, clear):
    levels = (np.arange(H * W).reshape(H, W) % 2**bits).astype(np.uint8)
    rows = b""
    for row in levels:
        digits = "".join(f"{level:0{bits}b}" for level in row)
        rows += b"\0" + int(digits.ljust(-len(digits) % 8 + len(digits), "0"), 2).to_bytes((len(digits) + 7) // 8)
    head = struct.pack(">IIBBBBB", W, H, bits, 0, 0, 0, 0)
    chunks = (b"IHDR", head), (b"tRNS", bytes((0, clear))), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")
    (tmp_path / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*c) for c in chunks))
    expected = np.where(levels == clear, 255, levels * (255 // (2**bits - 1)))
    assert (read_pixels(tmp_path / "0.png", 1, 8)[:, :, 0] == expected).all()
    assert (decode_image(str(tmp_path / "0.png"), (H, W), 1)[0].numpy() == expected).all()


@pytest.mark.parametrize("kind", ["grey", "colour", "alpha"])
def test_transparency_of_16_bits_is_told(tmp_path, kind):
    pixels = numbers({"grey": 1, "colour": 3, "alpha": 4}[kind], np.uint16)
    path = tmp_path / "0.png"
    cv2.imwrite(str(path), pixels)
    if kind != "alpha":
        key = struct.pack(f">{pixels.shape[2]}H", *pixels[0, 0, ::-1])
        content = path.read_bytes()
        path.write_bytes(content[:33] + chunk(b"tRNS", key) + content[33:])
    assert notes(path) == ["transparent in parts, which become white"]


def test_inks_of_16_bits_are_read_as_those_of_8(tmp_path):
    inks = numbers(4, np.uint8)
    tifffile.imwrite(tmp_path / "8.tif", inks, photometric="separated")
    tifffile.imwrite(tmp_path / "16.tif", inks.astype(np.uint16) * 257, photometric="separated")
    tifffile.imwrite(tmp_path / "five.tif", numbers(5, np.uint8), photometric="separated")
    assert [read_header(tmp_path / f"{name}.tif").channels for name in ("8", "16", "five")] == [3, 3, 5]
    found, expected = read_pixels(tmp_path / "16.tif", 3, 8), read_pixels(tmp_path / "8.tif", 3, 8)
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("pixels", "tags"),
    [
        (numbers(3, np.uint16), {"photometric": "cielab"}),
        (numbers(1, np.uint16)[:, :, 0], {"photometric": "palette", "colormap": np.zeros((3, 65536), np.uint16)}),
        (numbers(3, np.uint16), {"photometric": "icclab"}),
    ],
)
def test_numbers_that_are_no_colours_are_refused(tmp_path, pixels, tags):
    tifffile.imwrite(tmp_path / "0.tif", pixels, **tags)
    with pytest.raises(BadImageError, match="its colours are stored as"):
        read_header(tmp_path / "0.tif")


@pytest.mark.parametrize(("bits", "channels"), [(1, 3), (12, 1), (10, 3), (4, 3), (6, 1)])
def test_bits_that_fill_no_byte_are_read_or_named(tmp_path, bits, channels):
    levels = np.random.default_rng(bits).integers(0, 2**bits, (H, W, channels))
    rows = ["".join(f"{n:0{bits}b}" for n in row.ravel()) for row in levels]
    content = b"".join(int(r.ljust(-len(r) % 8 + len(r), "0"), 2).to_bytes((len(r) + 7) // 8) for r in rows)
    tags = {256: W, 257: H, 258: bits, 259: 1, 262: 2 if channels == 3 else 1, 273: 0, 277: channels, 279: len(content)}
    place = 8 + 2 + 12 * len(tags) + 4
    directory = b""
    for tag, value in tags.items():
        is_far = tag == 258 and channels == 3
        value = {258: place if is_far else value, 273: place + 6}.get(tag, value)
        directory += struct.pack("<HHII", tag, 3 if tag == 258 else 4, 3 if is_far else 1, value)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4)
    (tmp_path / "0.tif").write_bytes(head + struct.pack("<3H", bits, bits, bits) + content)
    assert read_header(tmp_path / "0.tif")[:3] == (H, W, channels)
    try:
        found = read_pixels(tmp_path / "0.tif", channels, 16)
    except BadImageError as error:
        assert f"sound, but its {bits} bits need a package: pip install imagecodecs" in str(error)
        assert bits > 1
    else:
        assert (found == (levels / (2**bits - 1) * 65535).round()).all()


@pytest.mark.parametrize(("named", "written"), [("a.png", "npy"), ("b.npy", "png"), ("c", "npy")])
def test_arrays_are_known_by_their_content(tmp_path, named, written):
    pixels = numbers(3, np.uint8)
    if written == "npy":
        with (tmp_path / named).open("wb") as file:
            np.save(file, pixels)
    else:
        Image.fromarray(pixels).save(tmp_path / named, "PNG")
    assert (read_pixels(tmp_path / named, 3, 8) == pixels).all()
    assert (read_resized(tmp_path / named, (H, W), 3) == pixels).all()
