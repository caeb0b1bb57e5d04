"""Image files of strangers: no decoder that starts a program, and no small file that fills the memory."""

import lzma
import os
import re
import stat
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, UnidentifiedImageError

from data.files import tiff
from data.files.combine import read
from data.files.decode import BadImageError, decode_image, is_grey
from data.files.pairs import SkippedError
from data.files.pixels import read_header, read_pixels
from tests.test_pixels import H, W, png
from util.open_image import FORMATS, open_image

ROOT = Path(__file__).parents[1]
EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\nshowpage\n"


@pytest.fixture
def ghostscript(tmp_path, monkeypatch):
    """Put a program in the place of Ghostscript; return the file that it leaves when it is started."""
    started, tools = tmp_path / "started", tmp_path / "bin"
    tools.mkdir()
    (tools / "gs").write_text(f"#!/bin/sh\necho x >> {started}\n")
    (tools / "gs").chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    return started


def test_no_image_starts_ghostscript(tmp_path, ghostscript):
    path = tmp_path / "photo.jpg"
    path.write_text(EPS)
    for decode in (
        lambda: decode_image(str(path), (8, 8), 3),
        lambda: read_header(path),
        lambda: read_pixels(path, 3, 8),
    ):
        with pytest.raises(BadImageError, match="cannot identify"):
            decode()
    with pytest.raises(SkippedError):
        read(path, "A")
    with pytest.raises(UnidentifiedImageError):
        open_image(path)
    assert is_grey(str(path)) is None
    assert not ghostscript.exists()


def test_ghostscript_would_be_started_without_the_list(tmp_path, ghostscript):
    path = tmp_path / "photo.jpg"
    path.write_text(EPS)
    with pytest.raises(Exception), Image.open(path) as image:  # noqa: B017
        image.load()
    assert ghostscript.exists()


def test_images_are_opened_in_one_place():
    files = [
        p
        for folder in ("data", "datasets", "models", "options", "scripts", "util")
        for p in ROOT.glob(f"{folder}/**/*.py")
    ]
    assert len(files) > 50
    opening = [p.name for p in files if re.search(r"\bImage\.open\(", p.read_text())]
    assert opening == ["open_image.py"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".webp", ".gif"])
def test_usual_formats_are_opened(tmp_path, suffix):
    path = tmp_path / f"image{suffix}"
    Image.new("L", (W, H)).save(path)
    with open_image(path) as image:
        assert image.size == (W, H)
        assert image.format in FORMATS


def bomb(folder, kind):
    """Write a small file that says it is of some gigabytes."""
    path = folder / f"bomb.{kind}"
    if kind == "png":
        png(path, 2, np.zeros((H, W, 3), np.uint16))
        content = bytearray(path.read_bytes())
        content[16:24] = (30_000).to_bytes(4, "big") * 2
        path.write_bytes(content)
    else:
        tifffile.imwrite(path, np.zeros((1, W), np.uint16), rowsperstrip=1)
        with tifffile.TiffFile(path, mode="r+") as tiff:
            tags = tiff.pages[0].aspage().tags
            tags["ImageWidth"].overwrite(60_000)
            tags["ImageLength"].overwrite(60_000)
    return path


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, kind):
    path = bomb(tmp_path, kind)
    assert path.stat().st_size < 10_000
    tracemalloc.start()
    with pytest.raises(BadImageError, match=r"\d{10} bytes when decoded"):
        read_header(path)
    with pytest.raises(BadImageError, match=r"\d{10} bytes when decoded"):
        read_pixels(path, 3, 8)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(("compression", "create"), [(8, zlib.compressobj), (34925, lzma.LZMACompressor)])
def test_a_strip_that_unpacks_to_more_than_its_pixels_is_refused(tmp_path, monkeypatch, compression, create):
    monkeypatch.setattr(tiff, "ROOM", 2**16)
    path = tmp_path / "bomb.tif"
    tifffile.imwrite(path, np.zeros((64, 64), np.uint16), rowsperstrip=64)
    packer = create()
    content = b"".join(packer.compress(bytes(2**20)) for _ in range(30)) + packer.flush()
    with tifffile.TiffFile(path, mode="r+") as file:
        tags = file.pages[0].aspage().tags
        for name, value in {
            "Compression": compression,
            "StripOffsets": path.stat().st_size,
            "StripByteCounts": len(content),
        }.items():
            tags[name].overwrite(value)
    with path.open("ab") as file:
        file.write(content)
    tracemalloc.start()
    with pytest.raises(BadImageError, match="unpacks to more than its pixels"):
        read_pixels(path, 1, 16)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("compression", ["zlib", "lzma"])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 5}, {"rowsperstrip": 2**20}, {"tile": (16, 16)}, {"pages": 3}])
def test_packed_strips_and_tiles_of_sound_files_are_read(tmp_path, monkeypatch, compression, layout):
    monkeypatch.setattr(tiff, "ROOM", -(2**40))  # all are looked at
    pages = layout.get("pages", 0)
    pixels = np.random.default_rng(0).integers(0, 65536, (pages, 33, 40) if pages else (33, 40, 3), np.uint16)
    more: Any = {"photometric": "minisblack"} if pages else {"photometric": "rgb"} | layout
    tifffile.imwrite(tmp_path / "a.tif", pixels, compression=compression, **more)
    np.testing.assert_array_equal(
        read_pixels(tmp_path / "a.tif", 3, 16), np.moveaxis(pixels, 0, 2) if pages else pixels
    )


def test_a_large_file_may_be_large(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    np.save(tmp_path / "a.npy", np.zeros((H, W, 4), np.float32))
    assert read_header(tmp_path / "a.npy")[:3] == (H, W, 4)


@pytest.mark.parametrize("orientation", [0, 9, 42])
def test_an_orientation_that_there_is_not_turns_nothing(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "photo.jpg"
    Image.new("RGB", (W, H)).save(path, exif=exif)
    assert read_header(path)[:2] == (H, W) == read_pixels(path, 3, 8).shape[:2]
