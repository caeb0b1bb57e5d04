import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.testing import assert_close

from data.files.pixels import read_pixels
from util.images import (
    CELL_SIZE,
    GAP,
    MAX_GRID_SIZE,
    enlargement,
    make_grid,
    make_labelled_grid,
    save_image,
    save_png,
    to_image,
    to_uint8,
)
from util.types import Grid


def flat(*values: float, size: int = 4, channels: int = 1) -> Tensor:
    """One image per value, all of whose pixels have that value."""
    return torch.tensor(values).reshape(-1, 1, 1, 1).expand(-1, channels, size, size)


def test_values_are_rounded_to_the_nearest_level():
    levels = torch.arange(256)
    images = (levels / 127.5 - 1).reshape(1, 1, 16, 16)
    nudged = images + 0.49 / 127.5
    assert (to_uint8(images).ravel() == levels.numpy()).all()
    assert (to_uint8(nudged).ravel() == levels.numpy()).all()


def test_what_no_image_can_show_is_clamped():
    images = torch.tensor([-7.0, 7.0, float("-inf"), float("inf"), float("nan")]).reshape(1, 1, 1, 5)
    assert to_uint8(images).ravel().tolist() == [0, 255, 0, 255, 0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_channels_come_last_in_any_precision(dtype):
    images = torch.zeros(2, 3, 4, 5, dtype=dtype, requires_grad=True)
    pixels = to_uint8(images)
    assert pixels.shape == (2, 4, 5, 3)
    assert pixels.dtype == np.uint8
    assert (pixels == 128).all()


def test_small_images_are_enlarged_by_a_whole_factor():
    assert [enlargement(size) for size in (1, 28, 32, 63, 64, 65, 256)] == [64, 3, 2, 2, 1, 1, 1]


def test_a_grid_goes_row_by_row_and_leaves_the_rest_of_the_last_row_empty():
    grid = np.asarray(make_grid(Grid(flat(-1, -0.5, 0, 0.5, 1, size=CELL_SIZE), columns=3), padding=2))
    step = CELL_SIZE + 2
    assert grid.shape == (2 * step - 2, 3 * step - 2)
    corners = grid[::step, ::step]
    assert corners.tolist() == [[0, 64, 128], [191, 255, GAP]]
    assert (grid[CELL_SIZE : CELL_SIZE + 2] == GAP).all()
    assert (grid[:CELL_SIZE, CELL_SIZE : CELL_SIZE + 2] == GAP).all()


def test_a_grid_of_small_images_repeats_their_pixels():
    images = torch.rand(2, 3, 28, 28) * 2 - 1
    grid = np.asarray(make_grid(Grid(images, columns=2), padding=0))
    factor = CELL_SIZE // 28 + 1
    assert grid.shape == (28 * factor, 56 * factor, 3)
    assert (grid[::factor, ::factor] == np.concatenate(list(to_uint8(images)), axis=1)).all()
    assert (grid[factor - 1 :: factor, factor - 1 :: factor] == grid[::factor, ::factor]).all()


def test_a_large_grid_is_not_enlarged_beyond_the_limit():
    many = make_grid(Grid(torch.zeros(40, 1, 28, 28), columns=40), padding=0)
    assert many.width == 40 * 28 * (MAX_GRID_SIZE // (40 * 28))
    assert make_grid(Grid(torch.zeros(1, 1, 8, MAX_GRID_SIZE * 2), columns=1)).size == (MAX_GRID_SIZE * 2, 8)


def test_a_grid_with_fewer_images_than_columns_is_as_wide_as_they_are():
    assert make_grid(Grid(flat(0, 0, size=CELL_SIZE), columns=10), padding=2).width == 2 * CELL_SIZE + 2


def test_only_grey_and_rgb_can_be_shown():
    assert to_image(np.zeros((2, 2, 1), np.uint8)).mode == "L"
    assert to_image(np.zeros((2, 2, 3), np.uint8)).mode == "RGB"
    two, five = (
        to_image(np.full((2, 2, 2), (10, 20), np.uint8)),
        to_image(np.full((2, 2, 5), (1, 2, 3, 4, 5), np.uint8)),
    )
    assert (two.mode, two.getpixel((0, 0))) == ("L", 15)
    assert (five.mode, five.getpixel((0, 0))) == ("RGB", (1, 2, 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_same_pixels(tmp_path, channels):
    image = to_image(np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8))
    path = tmp_path / "a picture #1.png"
    save_png(path, image)
    with Image.open(path) as read:
        assert read.mode == image.mode
        assert (np.asarray(read) == np.asarray(image)).all()


def test_a_png_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "image.png"
    save_png(path, Image.new("L", (2, 2), 7))
    before = path.read_bytes()
    with pytest.raises(OSError, match="cannot write mode"):
        save_png(path, Image.new("HSV", (2, 2)))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("channels", [1, 3])
def test_rows_are_labelled_beside_an_unchanged_grid(channels):
    images = torch.zeros(5, channels, 8, 8)
    plain = make_grid(Grid(images, 2))
    assert make_labelled_grid(Grid(images, 2)).tobytes() == plain.tobytes()
    labelled = make_labelled_grid(Grid(images, 2, ("rock", "scissors and a very long name", "石头")))
    margin = labelled.width - plain.width
    assert labelled.height == plain.height
    assert labelled.crop((margin, 0, *labelled.size)).tobytes() == plain.tobytes()
    beside = np.asarray(labelled.convert("L"))[:, :margin]
    thirds = np.array_split(beside, 3)
    inks = [(third < 128).sum() for third in thirds]
    assert inks[1] > inks[0] > inks[2] > 0  # the third is the number of its row
    assert all((third[[0, -1]] == 255).all() for third in thirds)


# Saving at any depth


def to_range(pixels):
    """Return pixels (H, W, C) as a float image (C, H, W) in [-1, 1]."""
    top = np.iinfo(pixels.dtype).max
    return torch.from_numpy(pixels.astype(np.float32) / (top / 2) - 1).permute(2, 0, 1)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_are_saved_at_their_depth_and_not_turned(tmp_path, depth, channels):
    dtype = {8: np.uint8, 16: np.uint16}[depth]
    pixels = np.random.default_rng(0).integers(0, 2**depth, (5, 9, channels), dtype=dtype)
    files = save_image(tmp_path / "a.b.png", to_range(pixels), depth)
    assert [f.name for f in files] == (["a.b.png"] if channels in (1, 3) else ["a.b.png", "a.b.npy"])
    with Image.open(files[0]) as shown:
        assert shown.size == (9, 5)
        assert shown.mode == {(16, 1): "I;16"}.get((depth, channels), "RGB" if channels >= 3 else "L")
    assert sorted(tmp_path.iterdir()) == sorted(files)
    assert (read_pixels(files[-1], channels, depth) == pixels).all()


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_float_images_are_saved_in_their_own_range(tmp_path, channels):
    image = torch.rand(channels, 5, 9) * 2 - 1
    shown, array = save_image(tmp_path / "image.png", image, 32, (-1000, 3000))
    values = np.load(array)
    assert values.dtype == np.float32
    assert values.shape == ((5, 9) if channels == 1 else (5, 9, channels))
    assert_close(
        torch.from_numpy(values).reshape(5, 9, channels), image.permute(1, 2, 0) * 2000 + 1000, rtol=0, atol=1e-3
    )
    assert_close(torch.from_numpy(read_pixels(array, channels, 32, (-1000, 3000))), image.permute(1, 2, 0))
    with Image.open(shown) as preview:
        assert preview.size == (9, 5)
