"""Image files of every mode and depth, and files that are none."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from data.files.decode import BadImageError, decode_image, is_grey

SIZE = (4, 6)  # height, width


def plain(mode: str, colour: Any) -> Image.Image:
    return Image.new(mode, SIZE[::-1], colour)


def palette(*colours: int) -> Image.Image:
    """Return an image of palette entry 0 everywhere."""
    image = plain("P", 0)
    image.putpalette(colours)
    return image


def deep(value: int, dtype: str = "<u2") -> np.ndarray:
    return np.full(SIZE, value, dtype)


@pytest.fixture
def decoded(tmp_path):
    """Save an image as ``name`` and return the colour it decodes to, which must be the same everywhere."""

    def decode(image: Image.Image, name: str, channels: int, **options: Any) -> list[int]:
        path = tmp_path / name
        image.save(path, **options)
        pixels = decode_image(str(path), SIZE, channels)
        assert pixels.dtype == torch.uint8
        assert pixels.shape == (channels, *SIZE)
        assert (pixels == pixels[:, :1, :1]).all()
        return pixels[:, 0, 0].tolist()

    return decode


@pytest.mark.parametrize(
    ("image", "name", "colour"),
    [
        (plain("L", 70), "grey.png", [70, 70, 70]),
        (plain("RGB", (10, 20, 30)), "colour.png", [10, 20, 30]),
        (plain("1", 1), "one_bit.png", [255, 255, 255]),
        (plain("1", 0), "one_bit.tif", [0, 0, 0]),
        (palette(200, 100, 50), "palette.png", [200, 100, 50]),
        (plain("RGBA", (200, 100, 50, 255)), "opaque.png", [200, 100, 50]),
        (plain("RGBA", (200, 100, 50, 0)), "transparent.png", [255, 255, 255]),
        (plain("RGBA", (0, 0, 0, 51)), "half_transparent.png", [204, 204, 204]),
        (plain("RGBA", (200, 100, 50, 0)), "transparent.webp", [255, 255, 255]),
        (plain("LA", (0, 51)), "grey_alpha.png", [204, 204, 204]),
        (plain("CMYK", (0, 255, 255, 0)), "cmyk.tif", [255, 0, 0]),
        (plain("CMYK", (0, 0, 0, 0)), "cmyk.jpg", [255, 255, 255]),
        (plain("YCbCr", (255, 128, 128)), "ycbcr.tif", [255, 255, 255]),
        (Image.fromarray(deep(0x80FF)), "16_bits.png", [128, 128, 128]),
        (Image.fromarray(deep(0xFFFF)), "16_bits_white.png", [255, 255, 255]),
        (Image.fromarray(deep(0x80FF)), "16_bits.tif", [128, 128, 128]),
        (Image.frombytes("I;16B", SIZE[::-1], deep(0x80FF, ">u2").tobytes()), "16_bits_big_endian.tif", [128] * 3),
        (Image.fromarray(deep(0x80FF, "<i4")), "32_bits_that_hold_16.tif", [128, 128, 128]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_becomes_rgb(decoded, image, name, colour):
    assert decoded(image, name, 3) == colour


@pytest.mark.parametrize(
    ("image", "name", "level"),
    [
        (plain("L", 70), "grey.png", 70),
        (plain("RGB", (255, 0, 0)), "red.png", 76),  # ITU-R 601: .299 of red
        (plain("1", 1), "one_bit.png", 255),
        (palette(255, 0, 0), "palette.png", 76),
        (plain("RGBA", (255, 0, 0, 0)), "transparent.png", 255),
        (plain("LA", (0, 51)), "grey_alpha.png", 204),
        (plain("CMYK", (0, 255, 255, 0)), "cmyk.tif", 76),
        (Image.fromarray(deep(0x80FF)), "16_bits.png", 128),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_mode_becomes_grey(decoded, image, name, level):
    assert decoded(image, name, 1) == [level]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_transparent_entry_of_a_palette_becomes_white(decoded, channels):
    image = palette(200, 100, 50, 0, 0, 0)
    assert decoded(image, "transparent.png", channels, transparency=0) == [255] * channels
    assert decoded(image, "transparent.gif", channels, transparency=0) == [255] * channels
    assert decoded(image, "other.png", 3, transparency=1) == [200, 100, 50]


def test_16_bits_of_grey_keep_their_order(tmp_path):
    """Scaled, not clipped: Pillow's own conversion to 8 bits makes everything above 255 white."""
    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 256
    path = tmp_path / "ramp.png"
    Image.fromarray(levels).save(path)
    assert decode_image(str(path), (16, 16), 1)[0].tolist() == (levels // 256).tolist()


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [[1, 2], [3, 4]]),
        (2, [[2, 1], [4, 3]]),
        (3, [[4, 3], [2, 1]]),
        (4, [[3, 4], [1, 2]]),
        (5, [[1, 3], [2, 4]]),
        (6, [[3, 1], [4, 2]]),
        (7, [[4, 2], [3, 1]]),
        (8, [[2, 4], [1, 3]]),
    ],
)
def test_the_orientation_of_the_camera_is_applied(tmp_path, orientation, upright):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    Image.fromarray(np.array([[1, 2], [3, 4]], np.uint8)).save(path, exif=exif)
    assert decode_image(str(path), (2, 2), 1)[0].tolist() == upright


def test_images_are_squashed_to_the_size(tmp_path):
    """Left and right halves stay left and right halves, whatever the proportions were."""
    pixels = np.zeros((10, 100, 3), np.uint8)
    pixels[:, 50:] = (0, 100, 200)
    path = tmp_path / "wide.png"
    Image.fromarray(pixels).save(path)
    decoded = decode_image(str(path), (20, 10), 3)
    assert decoded.shape == (3, 20, 10)
    assert decoded[:, :, :3].max() <= 2
    assert (decoded[:, :, 8:].float() - torch.tensor([0.0, 100, 200])[:, None, None]).abs().max() <= 2


def test_shrinking_averages(tmp_path):
    """A checkerboard becomes grey: without antialiasing it would be black or white."""
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    path = tmp_path / "board.png"
    Image.fromarray(board).save(path)
    decoded = decode_image(str(path), (8, 8), 1).float()
    assert (decoded - 127.5).abs().max() < 10


def test_an_image_of_the_right_size_keeps_its_pixels(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    decoded = decode_image(str(path), SIZE, 3)
    assert decoded.is_contiguous()
    assert (decoded.numpy() == pixels.transpose(2, 0, 1)).all()


def broken_files(folder):
    """Write files that bear the name of an image and are none; return them."""
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "truncated.jpg")
    Image.fromarray(pixels).save(folder / "truncated.png")
    for file in (folder / "truncated.jpg", folder / "truncated.png"):
        file.write_bytes(file.read_bytes()[:1500])
    (folder / "text.jpg").write_text("no image at all")
    (folder / "empty.png").touch()
    Image.fromarray(np.ones((4, 4), np.float32)).save(folder / "float.tif")
    return sorted(folder.iterdir())


def test_what_is_no_image_is_bad_and_says_why(tmp_path):
    files = broken_files(tmp_path)
    assert len(files) == 5
    for file in files:
        with pytest.raises(BadImageError) as error:
            decode_image(str(file), SIZE, 3)
        assert str(error.value).strip(), file
    with pytest.raises(BadImageError, match="truncated"):
        decode_image(str(tmp_path / "truncated.jpg"), SIZE, 3)
    with pytest.raises(BadImageError, match="No such file"):
        decode_image(str(tmp_path / "gone.jpg"), SIZE, 3)


def test_an_image_that_would_fill_the_memory_is_bad(tmp_path, monkeypatch):
    path = tmp_path / "huge.png"
    plain("L", 0).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    with pytest.raises(BadImageError, match="24 pixels are more than --max_pixels 8 allows"):
        decode_image(str(path), SIZE, 1)
    assert is_grey(str(path)) is None


def test_memory_that_runs_out_is_no_fault_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "image.png"
    plain("L", 0).save(path)

    def fail(*_args):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "resize", fail)
    with pytest.raises(MemoryError):
        decode_image(str(path), SIZE, 1)


def test_grey_is_told_from_colour_by_the_header(tmp_path):
    grey = [plain("L", 0), plain("1", 0), plain("LA", (0, 0)), Image.fromarray(deep(0))]
    colour = [plain("RGB", 0), plain("RGBA", 0), palette(0, 0, 0)]
    for image in [*grey, *colour]:
        path = tmp_path / "image.png"
        image.save(path)
        assert is_grey(str(path)) is (image in grey)
    (tmp_path / "text.jpg").write_text("no image at all")
    assert is_grey(str(tmp_path / "text.jpg")) is None
    assert is_grey(str(tmp_path / "gone.jpg")) is None
