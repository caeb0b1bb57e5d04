"""Files of all kinds are read right, number by number, or refused in words; and come out of test.py as they went in."""

from collections import Counter

import cv2
import numpy as np
import pytest
import tifffile

from tests import sweep_formats
from tests.bench import Bench
from util.spread import spread

TINY = (
    "--model pix2pix --netG unet_32 --ngf 2 --ndf 2 --netD pixel --preprocess none --no_flip --batch_size 1 "
    "--n_epochs 1 --n_epochs_decay 0 --display none --device cpu --num_threads 1"
)


def test_no_file_is_read_wrongly(tmp_path):
    """Every tenth of the sweep; python -m tests.sweep_formats tries them all."""
    every = sweep_formats.cases()
    assert len(every) > 500
    verdicts = sweep_formats.sweep(tmp_path, [every[i] for i in spread(len(every), len(every) // 10)])
    assert {name: verdict for name, verdict in verdicts.items() if verdict.kind == "WRONG"} == {}
    assert Counter(verdict.kind for verdict in verdicts.values())["right"] > 50
    refused = [verdict.why for verdict in verdicts.values() if verdict.kind == "refused"]
    assert all("needs a package" in why or "pixels" in why or "no image" in why for why in refused)


@pytest.mark.parametrize(
    "name", ["pillow_I16_8.tif", "pillow_F_0.pgm", "complex.tif", "complex.npy", "four_dimensions.npy"]
)
def test_what_cannot_be_read_is_refused(tmp_path, name):
    (case,) = [case for case in sweep_formats.cases() if case.name == name]
    assert {verdict.kind for verdict in sweep_formats.sweep(tmp_path, [case]).values()} <= {"refused", "right"}


# In and out


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("formats"))


def numbers(dtype, channels):
    """Return an image (32, 40, C) that uses all there is of small types, 24 bits of large ones."""
    unit = np.random.default_rng(5).random((32, 40, channels))
    if np.dtype(dtype).kind == "f":
        return (unit * 700 - 300).astype(dtype)
    info = np.iinfo(dtype)
    lo, hi = max(info.min, -(2**22)), min(info.max, 2**22)
    return (unit * (hi - lo) + lo).round().astype(dtype)


def write(path, pixels):
    if path.suffix == ".npy":
        np.save(path, pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    elif path.suffix == ".png":
        assert cv2.imwrite(str(path), pixels[:, :, ::-1])
    else:
        photometric = "rgb" if pixels.shape[2] == 3 else "minisblack"
        tifffile.imwrite(path, pixels[:, :, 0] if pixels.shape[2] == 1 else pixels, photometric=photometric)


def read(folder, kind):
    """Return the numbers (H, W, C) that test.py wrote as image 0 of ``kind``: a .npy, or a PNG of their depth."""
    array = folder / f"images/{kind}/0.npy"
    if array.exists():
        found = np.load(array)
        return found[:, :, None] if found.ndim == 2 else found
    pixels = cv2.imread(str(array.with_suffix(".png")), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[:, :, None] if pixels.ndim == 2 else pixels[:, :, ::-1]


@pytest.mark.parametrize("has_range", [False, True])
@pytest.mark.parametrize(
    ("suffix", "dtype"),
    [
        *((suffix, dtype) for suffix in (".tif", ".npy") for dtype in ("uint8", "uint16", "int16", "int32", "float32")),
        (".png", "uint8"),
        (".png", "uint16"),
    ],
)
def test_real_A_has_the_numbers_of_its_source(home, suffix, dtype, has_range):
    """Whole numbers exactly, floats to a millionth of the range; with a range that some numbers lie outside of, too."""
    name = f"{suffix[1:]}_{dtype}_{has_range}"
    pixels = numbers(dtype, 1 + 2 * (dtype in ("uint8", "float32")))
    lo, hi = float(pixels.min()), float(pixels.max())
    for phase in ("train", "test"):
        for side in "AB":
            folder = home.folder / f"{name}/{phase}{side}"
            folder.mkdir(parents=True)
            write(folder / f"0{suffix}", pixels)
    needs = np.dtype(dtype).kind == "f" or dtype in ("int16", "int32")
    if has_range:
        lo, hi = lo + (hi - lo) // 8, hi - (hi - lo) // 8
    limits = f"--value_range={lo!r},{hi!r}" if has_range else "--value_range=auto" if needs else ""
    outcome = home.train(f"{TINY} --dataroot {name} --name {name} {limits}")
    assert outcome.status == 0, outcome.err
    outcome = home.test(f"--name {name}")
    assert outcome.status == 0, outcome.err
    found = read(home.folder / f"results/{name}/test_latest", "real_A")
    expected = pixels.clip(lo, hi) if has_range else pixels
    assert found.shape == expected.shape
    if np.dtype(dtype).kind == "f":
        assert found.dtype == np.float32
        assert np.abs(found.astype(np.float64) - expected).max() <= 1e-6 * (hi - lo)
    else:
        assert (found.astype(np.float64) == expected).all()
