"""datasets/combine_A_and_B.py: what it joins, and what it says of everything else."""

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data.files import combine as script

ROOT = Path(__file__).resolve().parent.parent


def save(path, seed=0, size=(6, 4), mode="RGB", **options):
    """Write an image of noise, ``size`` = (width, height), and return its pixels."""
    shape = (size[1], size[0]) + ((len(mode),) if mode in ("RGB", "RGBA") else ())
    dtype = np.uint16 if mode == "I;16" else np.uint8
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return pixels


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


class Data:
    """Folders A, B and AB, and the script run on them."""

    def __init__(self, root, capsys):
        self.A, self.B, self.AB, self.capsys = root / "A", root / "B", root / "AB", capsys

    def combine(self, *args):
        """Run on A and B unless ``args`` say otherwise; return the exit status."""
        status: object = 0
        try:
            script.main(["--fold_A", str(self.A), *args])
        except SystemExit as stop:
            status = stop.code
        self.out, self.err = self.capsys.readouterr()
        return status

    def written(self):
        return sorted(path.relative_to(self.AB).as_posix() for path in self.AB.rglob("*") if path.is_file())


@pytest.fixture
def data(tmp_path, capsys):
    return Data(tmp_path, capsys)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_A_goes_left_and_B_right_in_their_own_depth(data, mode):
    left, right = save(data.A / "train" / "1.png", 0, mode=mode), save(data.B / "train" / "1.png", 1, mode=mode)
    assert data.combine() == 0
    assert (pixels_of(data.AB / "train" / "1.png") == np.concatenate([left, right], axis=1)).all()
    assert data.out == f"{data.AB}: combined 1 pairs (train 1); skipped no file\n"


def test_big_endian_tiff_keeps_its_values(data):
    values = (np.arange(24).reshape(4, 6) * 2000).astype(">u2")
    for folder in (data.A, data.B):
        folder.mkdir()
        Image.frombytes("I;16B", (6, 4), values.tobytes()).save(folder / "1.tif")
    assert data.combine() == 0
    assert (pixels_of(data.AB / "1.tif") == np.concatenate([values, values], axis=1)).all()


def test_sub_folders_are_kept_and_counted(data):
    for split, num in (("train", 3), ("val", 2), ("test/night", 1)):
        for i in range(num):
            save(data.A / split / f"{i}.png")
            save(data.B / split / f"{i}.png")
    assert data.combine() == 0
    assert data.written() == [
        *("test/night/0.png", "train/0.png", "train/1.png", "train/2.png", "val/0.png", "val/1.png"),
    ]
    assert "combined 6 pairs (test 1, train 3, val 2); skipped no file" in data.out


def test_images_without_sub_folders_are_combined_too(data):
    save(data.A / "1.png")
    save(data.B / "1.png")
    assert data.combine() == 0
    assert data.written() == ["1.png"]
    assert "(in no folder 1)" in data.out


def test_folder_around_A_and_B_may_take_the_result(data):
    save(data.A / "train" / "1.png")
    save(data.B / "train" / "1.png")
    assert data.combine("--fold_AB", str(data.A.parent)) == 0
    assert (data.A.parent / "train" / "1.png").is_file()


def test_every_file_left_out_is_named_with_its_reason_and_counted(data):
    for folder in (data.A, data.B):
        save(folder / "train" / "good.png")
        save(folder / "train" / "broken.png")
        save(folder / "train" / "cut.png", size=(64, 64))
        save(folder / "train" / ".hidden.png")
    save(data.A / "train" / "small.png", size=(3, 3))
    save(data.B / "train" / "small.png", size=(3, 4))
    save(data.A / "train" / "only_A.png")
    save(data.B / "val" / "only_B.png")
    (data.A / "train" / "notes.txt").write_text("x")
    (data.B / "README").write_text("x")
    (data.A / "train" / "broken.png").write_text("no image")
    cut = data.B / "train" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:3000])

    assert data.combine() == 0
    assert data.written() == ["train/good.png"]
    for line in (
        f"{data.A}/train/notes.txt: not an image (.txt)",
        f"{data.B}/README: not an image (no extension)",
        f"{data.A}/train/.hidden.png: hidden",
        f"{data.A}/train/only_A.png: no partner in {data.B}",
        f"{data.B}/val/only_B.png: no partner in {data.A}",
        f"{data.A}/train/small.png: sizes differ: A is 3x3, B is 3x4",
        f"{data.A}/train/broken.png: A cannot be read: cannot identify image file",
        f"{data.A}/train/cut.png: B cannot be read: ",
    ):
        assert f"skipped {line}" in data.err
    assert data.err.count("\n") == 9
    counts = "2 hidden, 2 not an image, 2 without a partner, 2 unreadable, 1 of another size"
    assert f"combined 1 pairs (train 1); skipped 9 files: {counts}\n" in data.out


def test_extensions_may_differ_where_no_doubt_is_left(data):
    save(data.A / "1.png")
    save(data.B / "1.bmp")
    save(data.A / "2.png")  # has two partners
    save(data.B / "2.bmp")
    save(data.B / "2.tif")
    assert data.combine() == 0
    assert data.written() == ["1.png"]
    assert f"skipped {data.A}/2.png: which of several is its partner in {data.B}?" in data.err
    assert "skipped 3 files: 3 with several partners" in data.out


def test_grey_and_colour_become_colour_with_white_for_transparent(data):
    grey = save(data.A / "1.png", mode="L")
    clear = np.zeros((4, 6, 4), np.uint8)
    data.B.mkdir()
    Image.fromarray(clear).save(data.B / "1.png")
    assert data.combine() == 0
    pixels = pixels_of(data.AB / "1.png")
    assert pixels.shape == (4, 12, 3)
    assert (pixels[:, :6] == grey[..., None]).all()
    assert (pixels[:, 6:] == 255).all()


def test_16_bits_are_not_mixed_with_8(data):
    save(data.A / "1.png", mode="I;16")
    save(data.B / "1.png", mode="L")
    assert data.combine() == 1
    assert "depths differ: A is I;16, B is L" in data.err


def test_camera_orientation_is_applied(data):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    save(data.A / "1.jpg", size=(4, 6), exif=exif)
    save(data.B / "1.jpg", size=(6, 4))
    assert data.combine() == 0
    assert pixels_of(data.AB / "1.jpg").shape == (4, 12, 3)


def test_jpeg_keeps_the_seam_sharp(data):
    for folder, colour in ((data.A, "red"), (data.B, "blue")):
        folder.mkdir()
        Image.new("RGB", (8, 8), colour).save(folder / "1.jpg", quality=100)
    assert data.combine() == 0
    row = pixels_of(data.AB / "1.jpg")[4].astype(int)
    assert np.abs(row[7] - (255, 0, 0)).max() < 8
    assert np.abs(row[8] - (0, 0, 255)).max() < 8


@pytest.mark.parametrize("shared", [False, True], ids=["two folders", "one folder"])
def test_use_AB_takes_the_side_from_the_name(data, shared):
    fold_B = data.A if shared else data.B
    left, right = save(data.A / "train" / "1_A.png", 0), save(fold_B / "train" / "1_B.png", 1)
    save(data.A / "train" / "other.png")
    assert data.combine("--fold_B", str(fold_B), "--use_AB") == 0
    assert data.written() == ["train/1.png"]
    assert (pixels_of(data.AB / "train" / "1.png") == np.concatenate([left, right], axis=1)).all()
    assert f"skipped {data.A}/train/other.png: --use_AB, but its name does not end in _A" in data.err
    assert "skipped 1 file: 1 wrongly named" in data.out


def test_num_imgs_limits_each_sub_folder_and_says_so(data):
    for folder in (data.A, data.B):
        for name in ("train/1", "train/2", "train/10", "val/1"):
            save(folder / f"{name}.png")
    assert data.combine("--num_imgs", "2") == 0
    assert data.written() == ["train/1.png", "train/2.png", "val/1.png"]
    assert "combined 3 pairs (train 2, val 1); --num_imgs left out 1; skipped no file" in data.out


def test_nothing_is_overwritten_unless_told_to(data):
    save(data.A / "1.png")
    save(data.B / "1.png")
    save(data.A / "2.png")
    save(data.B / "2.png")
    mine = save(data.AB / "1.png", 5)
    assert data.combine() == 0
    assert (pixels_of(data.AB / "1.png") == mine).all()
    assert f"skipped {data.A}/1.png: {data.AB}/1.png is there already; --overwrite replaces it" in data.err
    assert data.combine() == 1
    assert "no pair of" in data.err
    assert "was combined; skipped 2 files: 2 there already" in data.err
    assert data.combine("--overwrite") == 0
    assert pixels_of(data.AB / "1.png").shape == (4, 12, 3)


def test_nothing_to_combine_is_an_error_of_one_line(data):
    data.A.mkdir()
    data.B.mkdir()
    assert data.combine() == 1
    assert data.err == (f"combine_A_and_B.py: error: no pair of {data.A} and {data.B} was combined; skipped no file\n")
    assert not data.AB.exists()


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--fold_B", "none"], "--fold_B none is no folder"),
        (["--fold_AB", "A/train"], "--fold_AB A/train lies in --fold_A A: its images would be taken for originals"),
        (["--fold_AB", "B"], "--fold_AB B lies in --fold_B B"),
        (["--fold_B", "A"], "--fold_A and --fold_B are both A; give --use_AB if names end in _A and _B"),
    ],
)
def test_folders_that_do_not_go_together_are_refused(data, monkeypatch, args, message):
    monkeypatch.chdir(data.A.parent)
    save(data.A / "train" / "1.png")
    save(data.B / "train" / "1.png")
    data.A = Path("A")
    assert data.combine(*args) == 1
    assert message in data.err
    assert data.err.count("\n") == 1


def test_full_disk_stops_and_leaves_no_half_file(data, monkeypatch):
    save(data.A / "1.png")
    save(data.B / "1.png")

    def write_half(self, file, *_, **__):
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", write_half)
    assert data.combine() == 1
    assert "No space left on device" in data.err
    assert data.written() == []


def test_linked_sub_folders_are_read(data):
    save(data.A.parent / "elsewhere" / "1.png")
    for folder in (data.A, data.B):
        folder.mkdir()
        (folder / "train").symlink_to(data.A.parent / "elsewhere")
    assert data.combine() == 0
    assert data.written() == ["train/1.png"]


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_num_imgs_must_be_a_positive_number(data, value):
    assert data.combine(f"--num_imgs={value}") == 2
    assert "is not a positive whole number" in data.err


def test_command_of_the_reference_runs_from_anywhere(data):
    save(data.A / "train" / "1.png")
    save(data.B / "train" / "1.png")
    folders = [f"--fold_{side}" for side in ("A", "B", "AB")]
    args = [arg for pair in zip(folders, map(str, (data.A, data.B, data.AB)), strict=True) for arg in pair]
    command = [sys.executable, str(ROOT / "datasets" / "combine_A_and_B.py"), *args, "--no_multiprocessing"]
    result = subprocess.run(command, cwd=data.A.parent, capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert "combined 1 pairs" in result.stdout
