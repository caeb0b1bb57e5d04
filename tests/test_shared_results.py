"""Several processes of test.py write what one does, byte for byte."""

import pytest

from options import test_options
from tests.bench import SMALL, save_images
from tests.ranks import together

PAIRS = "--netG unet_32 --ngf 4 --ndf 4 --netD n_layers --n_layers_D 1 --load_size 32 --crop_size 32 --device cpu"
CASES = {
    "drawn": (
        f"--model cgan --dataroot hands {SMALL} --batch_size 2 --n_epochs 1",
        "--num_test 23 --batch_size 5 --interpolate 3 --nearest 2 --metrics accuracy --eval_images 8",
    ),
    "translated": (
        f"--model pix2pix --dataset_mode aligned --dataroot pairs {PAIRS} --n_epochs 1 --n_epochs_decay 0",
        "--batch_size 2 --metrics l1 --animate .1",
    ),
    "without pairs": (
        f"--model cycle_gan --dataset_mode unaligned --dataroot others {PAIRS} --n_epochs 1 --n_epochs_decay 0",
        "--batch_size 2 --cache off --results_layout flat",
    ),
}


def files(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("case", "num"), [("drawn", 3), ("translated", 2), ("without pairs", 2)])
def test_the_results_of_several_processes_are_those_of_one(bench, case, num):
    train, test = CASES[case]
    for data, more in (("pairs", 0), ("others", 3)):
        for folder, number in (("trainA", 2), ("trainB", 2), ("testA", 7), ("testB", 7 - more)):
            save_images(bench.folder / data, (folder,), num=number, size=32)
    assert bench.train(f"{train} --name run --display none").status == 0
    alone = bench.test(f"--name run {test} --results_dir one")
    assert alone.status == 0, alone.err
    command = f"--name run {test} --results_dir several --num_processes {num}"
    first, *others = together(lambda: bench.test(command), bench.folder, num=num, starts=False)
    assert first.status == 0, first.err
    assert {(other.status, other.out, other.err) for other in others} == {(0, "", "")}
    expected = files(bench.folder / "one")
    assert len(expected) > 7
    assert files(bench.folder / "several") == expected
    assert first.out.replace("/several/", "/one/") == alone.out


def test_processes_do_not_share_what_draws_dropout_image_after_image():
    with pytest.raises(ValueError, match="--no_eval draws dropout"):
        test_options.TestOptions(num_processes=2, eval=False)


def test_a_mistake_of_several_processes_is_one_line(bench):
    outcomes = together(lambda: bench.test("--name absent --num_processes 2"), bench.folder, starts=False)
    assert [outcome.status for outcome in outcomes] == [2, 2]
    assert [outcome.err.count("\n") for outcome in outcomes] == [1, 0]
