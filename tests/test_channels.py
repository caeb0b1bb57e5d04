"""Channels: what is not declared as transparency is data; what is becomes white at every depth."""

from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from data.files.decode import BadImageError, decode_image
from data.files.pixels import read_header, read_pixels
from tests.test_findings import opened

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
