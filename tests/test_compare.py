"""The scripts that put runs side by side, and into docs/results.md."""

import contextlib
import io
import re
import shutil
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from models import find_model
from scripts import compare, reproduce
from tests.bench import save_images
from tests.document import Document, links
from tests.test_quality import stub  # noqa: F401  the features of both
from util.displays.logs import thinned
from util.types import Progress

OLD = "| elsewhere | `command` | data | 1 | 1 s | none | |"
EVERY = "--n_epochs 1 --eval_freq 4 --eval_images 12 --metrics kid,recall --val_fraction .4"


@pytest.fixture
def runs(bench):
    bench.small(f"--name one {EVERY}")
    bench.small(f"--name two {EVERY} --lr .001")
    bench.small("--name three --n_epochs 1 --val_fraction .4")
    return bench


def call(bench, monkeypatch, main, *words):
    monkeypatch.setattr(sys, "argv", ["script", *words])
    out = io.StringIO()
    with contextlib.chdir(bench.folder), contextlib.redirect_stdout(out):
        main()
    return out.getvalue()


def test_runs_stand_side_by_side(runs, monkeypatch):
    out = call(runs, monkeypatch, compare.main, "one", "two", "three", "--device", "cpu")
    page = runs.folder / "results/compare/one_two_three/index.html"
    assert str(page) in out
    assert all((page.parent / link).is_file() for link in links(page))
    text = Document(page).text
    assert "kid_stub" in text
    assert "12 images against 4 real ones, stub at 8 px, seed 0" in text
    assert text.count("12 images against 4 real ones, stub at 8 px, seed 0") == 1
    assert "Not measured: three" in text
    assert re.search(r"metric\s*one\s*two\s*last", text)
    assert re.search(r"lr\s*0\.0002\s*0\.001\s*0\.0002", text)
    data = (page.parent / "data.js").read_text()
    assert '"name": "kid_stub"' in data
    assert '"name": "loss D_real"' in data
    samples = [page.parent / f"images/{name}_fake.png" for name in ("one", "two")]
    assert samples[0].read_bytes() != samples[1].read_bytes()


def test_what_test_measured_and_the_best_stand_there_with_their_settings(runs, monkeypatch, capsys):
    assert runs.test("--name one --epoch best --metrics recall --eval_images 8 --num_test 2").status == 0
    assert runs.test("--name two --metrics recall --num_test 2").status == 0
    runs.small(f"--name two {EVERY} --seed 5 --overwrite")
    call(runs, monkeypatch, compare.main, "one", "two", "--device", "cpu")
    text = Document(runs.folder / "results/compare/one_two/index.html").text
    assert re.search(r"best\s*kid_stub\s*\S+ ± \S+\s*1\s*\d images", text)
    assert re.search(r"test_best, by test.py\s*recall_stub\s*[\d.]+\s*3\s", text)
    assert re.search(
        r"1\s*12 images against 4 real ones, stub at 8 px, seed 0\s*2\s*12 .* seed 5\s*3\s*8 images against 4", text
    )
    assert "test_latest" not in text
    assert "two/test_latest are of other weights than there are now: left out" in capsys.readouterr().err


def test_weights_alone_can_be_compared(bench, monkeypatch):
    for name in ("trainA", "trainB", "testA", "testB"):
        save_images(bench.folder / "pairs", (name,), num=5, size=32)
    small = "--crop_size 32 --load_size 32 --ngf 4 --ndf 4 --netG unet_32 --netD n_layers --n_layers_D 1 --device cpu"
    call_train = f"--model pix2pix --dataset_mode aligned --dataroot pairs {small} --n_epochs 1 --n_epochs_decay 0"
    assert bench.train(f"{call_train} --name p").status == 0
    bench.run_dir("alone").mkdir()
    shutil.copy(bench.run_dir("p") / "latest_net_G.pth", bench.run_dir("alone"))
    words = ["p", "alone", "--dataroot", "pairs/testA", "--model", "test", "--device", "cpu"]
    call(bench, monkeypatch, compare.main, *words)
    page = bench.folder / "results/compare/p_alone"
    assert (page / "images/p_fake.png").exists() and (page / "images/alone_fake.png").exists()
    assert re.search(r"n_layers_D\s*1\s*–", Document(page / "index.html").text)  # noqa: RUF001


def test_options_are_listed_where_they_mean_something():
    options = find_model("pix2pix").Options
    known = {"netD": "basic", "n_layers_D": 3, "lr_policy": "linear", "lr_decay_iters": 50, "lr": 1.0}
    other = known | {"n_layers_D": 4, "lr_decay_iters": 9, "lr": 2.0}
    configs: Any = [SimpleNamespace(trained=trained, model=options()) for trained in (known, other)]
    assert compare._differences(configs) == [["lr", "1.0", "2.0"]]
    configs[1].trained |= {"netD": "n_layers", "lr_policy": "step"}
    assert {row[0]: row[1] for row in compare._differences(configs)} == {
        "netD": "basic",
        "n_layers_D": "–",  # noqa: RUF001
        "lr_policy": "linear",
        "lr_decay_iters": "–",  # noqa: RUF001
        "lr": "1.0",
    }


@pytest.mark.parametrize("num", [1, 499, 500, 501, 999, 1000, 1001])
def test_thinned_curves_are_short_and_end_where_they_end(num):
    reports = [(Progress(1, i), {"G": 0.0}) for i in range(num)]
    shown = thinned(reports, 500)
    assert shown[-1] is reports[-1]
    assert min(num, 250) <= len(shown) <= 500


def test_translations_of_the_same_images_are_shown(bench, monkeypatch):
    for name in ("trainA", "trainB", "testA", "testB"):
        save_images(bench.folder / "pairs", (name,), num=5, size=32)
    small = "--crop_size 32 --load_size 32 --ngf 4 --ndf 4 --netG unet_32 --netD n_layers --n_layers_D 1 --device cpu"
    call_train = f"--model pix2pix --dataset_mode aligned --dataroot pairs {small} --n_epochs 1 --n_epochs_decay 0"
    for seed in (0, 1):
        assert bench.train(f"{call_train} --name p{seed} --seed {seed}").status == 0
    call(bench, monkeypatch, compare.main, "p0", "p1", "--device", "cpu")
    images = bench.folder / "results/compare/p0_p1/images"
    page = (images.parent / "index.html").read_text()
    assert page.count(">all runs<") == 2  # real_A and real_B are shown once
    sizes = {Image.open(images / f"p{i}_{kind}.png").size for i in (0, 1) for kind in ("real_A", "fake_B", "real_B")}
    assert len(sizes) == 1  # a column each, at one scale
    assert (images / "p0_real_A.png").read_bytes() == (images / "p1_real_A.png").read_bytes()
    assert (images / "p0_fake_B.png").read_bytes() != (images / "p1_fake_B.png").read_bytes()


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "docs/results.md"
    path.parent.mkdir()
    path.write_text(
        f"# Results\n\n{reproduce.BEGIN}\n| {' | '.join(reproduce.HEADER)} |\n|---|\n{OLD}\n{reproduce.END}\nend\n"
    )
    return path


def table(document):
    """Return the rows by what they are of."""
    lines = [line for line in document.read_text().splitlines() if line.startswith("| ")]
    return {line.split("|")[1].strip(): line for line in lines}


def test_the_table_of_results_is_written_from_what_runs_left(runs, monkeypatch, document):
    for _ in range(2):  # again, it is the same
        call(runs, monkeypatch, reproduce.main, "one", "three", "--measure", "kid", "--document", str(document))
    lines = table(document)
    assert list(lines) == ["run", "elsewhere", "one", "three"]
    assert lines["elsewhere"] == OLD
    assert "`python " in lines["one"]
    assert "hands, 8 images, 8 x 8 | 8 |" in lines["one"]
    assert re.search(r"\*\*kid_stub -?[\d.]+ ± [\d.]+\*\* \(best; 1000 images against 4 real ones", lines["one"])
    assert "(latest;" in lines["three"]
    assert "![samples of one](images/results/one.png)" in lines["one"]
    drawn = runs.folder / "results/one/test_best/images/grid/grid.png"
    assert (document.parent / "images/results/one.png").read_bytes() == drawn.read_bytes()
    assert document.read_text().endswith(f"{reproduce.END}\nend\n")


def test_recipes_and_mistakes(runs, monkeypatch, tmp_path, capsys):
    names = reproduce.recipe_runs()
    assert {"rps_cgan", "mnist_cgan", "mnist_wgan_gp", "rps_plain", "rps_modern"} <= set(names)
    document = tmp_path / "empty.md"
    document.write_text("nothing")
    assert runs.test("--name one --epoch best --num_test 2").status == 0
    for words, complaint in ((["four"], "there is no run four"), (["one"], "has no lines")):
        with pytest.raises(SystemExit):
            call(runs, monkeypatch, reproduce.main, *words, "--document", str(document))
        assert complaint in capsys.readouterr().err
    assert list(tmp_path.glob("images/**/*.png")) == []  # a table that cannot be written has no pictures


def test_results_of_another_run_are_not_put_beside_this_one(runs, monkeypatch, document, capsys):
    call(runs, monkeypatch, reproduce.main, "one", "--measure", "kid", "--document", str(document))
    picture, row = document.parent / "images/results/one.png", table(document)["one"]
    drawn = picture.read_bytes()
    for again in (f"--name one {EVERY} --seed 3 --overwrite", f"--name one {EVERY} --overwrite"):
        runs.small(again)
        call(runs, monkeypatch, reproduce.main, "one", "--document", str(document))
        same = "seed" not in again
        told = "the row of one stays as it is: results/one/test_best are of other weights than there are now"
        assert (told in capsys.readouterr().err) == (not same)
        assert (table(document)["one"].split("|")[2] == row.split("|")[2]) == (not same)
        assert picture.read_bytes() == drawn
    (runs.folder / "results/one/test_best/origin.yaml").unlink()
    call(runs, monkeypatch, reproduce.main, "one", "--document", str(document))
    assert "do not say of which weights they are" in capsys.readouterr().err


def test_results_of_other_data_are_not_put_beside_a_run(runs, monkeypatch, document, capsys):
    save_images(runs.folder / "others")
    assert runs.test("--name one --epoch best --dataroot others --metrics kid --num_test 2").status == 0
    call(runs, monkeypatch, reproduce.main, "one", "--document", str(document))
    assert "test_best are of other data, others" in capsys.readouterr().err
    assert "one" not in table(document)


def test_a_run_in_parts_has_its_whole_time(runs, monkeypatch, document):
    timing = runs.run_dir("three") / "timing.csv"
    monkeypatch.setattr(sys, "argv", ["train.py", "--name", "three", "--continue_train"])
    assert runs.train("--name three --continue_train --n_epochs 2").status == 0
    timing.write_text(
        "epoch,step,images,seconds,data_seconds,images_per_second\n1,4,8,100.000,1,.08\n2,8,16,50.000,1,.16\n"
    )
    call(runs, monkeypatch, reproduce.main, "three", "--document", str(document))
    assert "`, then `python train.py --name three --continue_train` |" in table(document)["three"]
    assert re.search(r"\| 16 \| 2 min, CPU, \d+ threads \|", table(document)["three"])
    timing.write_text("epoch,step,images,seconds,data_seconds,images_per_second\n2,8,16,50.000,1,.16\n")
    call(runs, monkeypatch, reproduce.main, "three", "--document", str(document))
    assert "| 16 | at least 50 s, CPU" in table(document)["three"]
