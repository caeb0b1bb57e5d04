"""Which numbers are black and white: on the way in and out, of every type, a side each, automatic, and warnings."""

import cv2
import numpy as np
import pytest
import tifffile
import yaml

from data import create_dataset, find_dataset
from data.files.ranges import Numbers, sample, warn_of_range
from tests.bench import SMALL, Bench

TINY = (
    "--netG unet_32 --ngf 4 --netD n_layers --n_layers_D 1 --ndf 4 --load_size 32 --crop_size 32 --n_epochs 1 "
    "--n_epochs_decay 0 --display none --device cpu"
)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        assert cv2.imwrite(str(path), pixels)


def ramp(lo, hi, dtype, size=32, shift=0):
    values = np.linspace(lo, hi, size * size).astype(dtype).reshape(size, size)
    return np.roll(values, shift, 0)


def opened(mode, root, **options):
    return create_dataset(mode, find_dataset(mode).Options(dataroot=str(root), **options))


@pytest.mark.parametrize(
    ("dtype", "name", "lo", "hi", "limits"),
    [
        (np.uint8, "0.png", 0, 255, ()),
        (np.uint8, "0.png", 10, 60, (0, 60)),
        (np.uint8, "0.npy", 10, 60, (0, 60)),
        (np.uint16, "0.png", 0, 65535, ()),
        (np.uint16, "0.png", 0, 4095, (0, 4095)),
        (np.uint16, "0.tif", 100, 1023, (0, 1023)),
        (np.uint16, "0.npy", 0, 4095, "auto"),
        (np.int16, "0.tif", -1000, 3000, (-1000, 3000)),
        (np.int16, "0.npy", -32768, 32767, "auto"),
        (np.int32, "0.tif", 0, 200000, (0, 200000)),
        (np.int32, "0.npy", -5, 1000000, "auto"),
        (np.float32, "0.npy", -0.5, 2.5, (-1, 3)),
        (np.float32, "0.tif", 0, 1e-3, "auto"),
    ],
)
def test_what_goes_in_comes_out(tmp_path, dtype, name, lo, hi, limits):
    from util.images import save_image
    from util.results.translations import _numbers_of

    pixels = ramp(lo, hi, dtype)
    write(tmp_path / "data" / name, pixels)
    limits = (limits,) if limits == "auto" else tuple(map(float, limits))
    dataset = opened("single", tmp_path / "data", preprocess="none", value_range=limits)
    image = dataset[0]["A"]
    if limits:
        span = dataset.spec.value_range
        np.testing.assert_allclose(image[0], (pixels.astype(float) - span[0]) / (span[1] - span[0]) * 2 - 1, atol=5e-3)
    *_, file = save_image(tmp_path / "out.png", image, dataset.spec.bit_depth, *_numbers_of("real_A", dataset.spec))
    found = np.load(file) if file.suffix == ".npy" else cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
    assert found is not None
    if np.dtype(dtype).kind == "f":
        np.testing.assert_allclose(found, pixels, atol=1e-6 * (hi - lo) * 2)
    else:
        assert found.dtype == dtype
        assert (found == pixels).all()


def test_each_side_has_its_range_in_training_and_in_results(tmp_path):
    bench = Bench(tmp_path)
    for phase in ("train", "test"):
        for i in range(2):
            write(tmp_path / f"scans/{phase}A/{i}.tif", ramp(-1000, 3000, np.int16, shift=i))
            write(tmp_path / f"scans/{phase}B/{i}.png", ramp(0, 4095, np.uint16, shift=2 * i))
    run = f"--model pix2pix --dataroot scans {TINY}"
    refused = bench.train(f"{run} --name no")
    assert refused.status == 1
    assert "holds int16 numbers from -1000 to 3000" in refused.err
    assert "--value_range_A -1000,3000 or another range that suits all files, or --value_range_A auto" in refused.err
    outcome = bench.train(f"{run} --name own --value_range_A=-1000,3000 --value_range_B 0,4095")
    assert (outcome.status, outcome.err) == (0, "")
    assert "A: 2 images of 32x32 pixels, 1 channel, int16, numbers from -1000 to 3000, of which -1000" in outcome.out
    assert bench.train(f"{run} --name auto --value_range auto").status == 0
    spec = yaml.safe_load((bench.run_dir("auto") / "options.yaml").read_text())["spec"]
    assert (spec["value_range_A"], spec["value_range"]) == ([-1000, 3000], [0, 4095])
    (tmp_path / "scans/testB/0.png").unlink()
    write(tmp_path / "scans/testB/0.png", ramp(7, 700, np.uint16))  # tests go by what training found
    for name in ("own", "auto"):
        outcome = bench.test(f"--name {name}")
        assert outcome.status == 0, outcome.err
        images = tmp_path / f"results/{name}/test_latest/images"
        A, B, fake = (np.load(images / f"{kind}/0.npy") for kind in ("real_A", "real_B", "fake_B"))
        assert (ramp(-1000, 3000, np.int16) == A).all()
        assert (ramp(7, 700, np.uint16) == B).all()
        assert (A.dtype, fake.dtype) == (np.int16, np.uint16)
        assert 1000 < fake.mean() < 3000


@pytest.mark.parametrize(
    ("values", "name"),
    [((0, 4095, np.uint16), "{}.png"), ((0, 70000, np.int32), "{}.tif"), ((-4, 4, np.int16), "{}.tif")],
)
def test_noise_models_read_a_range(tmp_path, values, name):
    for i in range(4):
        write(tmp_path / name.format(i), ramp(values[0], values[1], values[2], 32, 8 * i))
    dataset = opened("image_folder", tmp_path, image_size=32, value_range=("auto",), val_fraction=0.0)
    assert dataset.spec.value_range == values[:2]
    image = dataset[0]["image"]
    assert (image.min(), image.max()) == (-1, 1)
    assert dataset.opt.like(dataset.spec).value_range == values[:2]
    cropped = opened("image_folder", tmp_path, image_size=16, fit="crop", value_range=values[:2], val_fraction=0.0)
    assert cropped[0]["image"].shape == (1, 16, 16)
    if values[2] != np.uint16:
        with pytest.raises(ValueError, match=f"holds {values[2].__name__} numbers from .* or --value_range auto"):
            opened("image_folder", tmp_path)


def test_training_on_12_bits_warns_with_the_flag_that_mends_it(tmp_path):
    bench = Bench(tmp_path)
    for i in range(6):
        write(tmp_path / f"scans/{i}.png", ramp(0, 4095, np.uint16, 16, shift=i))
    run = f"--model gan --dataroot scans --batch_size 2 --n_epochs 1 --n_epochs_decay 0 --display none {SMALL}"
    outcome = bench.train(f"{run} --name dark")
    line = "the numbers go from 0 to 4095, little of the 0 to 65535 that their type holds: --value_range 0,4095"
    assert line in outcome.err
    outcome = bench.train(f"{run} --name light --value_range 0,4095")
    assert (outcome.status, outcome.err) == (0, "")
    assert bench.test("--name light --num_test 2").status == 0


@pytest.mark.parametrize(
    ("values", "limit", "limits", "warning"),
    [
        (range(19), 255, (), "from 0 to 18, little of the 0 to 255"),
        (range(200), 255, (), ""),
        ([7, 7, 7], 255, (), ""),
        (range(100), 255, (0, 50), "--value_range 0,50 clips 49% of the numbers, which go from 0 to 99"),
        (range(100), 255, (0, 95), ""),
        (np.linspace(-3, 3, 50), 0, (), ""),
        (np.linspace(-3, 3, 50), 0, (0, 3), "clips 50%"),
    ],
)
def test_warnings_of_ranges(values, limit, limits, warning, capsys):
    warn_of_range("value_range", limits, Numbers(np.array(values, float), limit))
    err = capsys.readouterr().err
    assert warning in err
    assert bool(err) == bool(warning)


def test_an_automatic_range_leaves_out_what_lies_far_off(tmp_path, capsys):
    pixels = ramp(0, 1000, np.int32, 64)
    pixels[0, 0], pixels[0, 1] = -2_000_000, 3_000_000
    write(tmp_path / "0.tif", pixels)
    lo, hi = opened("single", tmp_path, value_range=("auto",)).spec.value_range
    assert 0 <= lo < 10
    assert 990 < hi <= 1000
    assert "(the numbers go from -2e+06 to 3e+06)" in capsys.readouterr().out
    assert sample([tmp_path / "gone.tif"]) is None
    write(tmp_path / "flat/0.npy", np.full((8, 8), 5, np.int16))
    with pytest.raises(ValueError, match=r"--value_range auto: all numbers in .* are 5"):
        opened("single", tmp_path / "flat", value_range=("auto",))
