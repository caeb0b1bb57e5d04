"""The scripts that put runs side by side, and into docs/results.md."""

import contextlib
import io
import re
import sys

import pytest

from scripts import compare, reproduce
from tests.bench import save_images
from tests.document import Document, links
from tests.test_quality import stub  # noqa: F401  the features of both

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
    assert "not measured" in text  # three
    assert re.search(r"lr\s*0\.0002\s*0\.001\s*0\.0002", text)
    data = (page.parent / "data.js").read_text()
    assert '"name": "kid_stub"' in data
    assert '"name": "loss D_real"' in data
    samples = [page.parent / f"images/{name}_fake.png" for name in ("one", "two")]
    assert samples[0].read_bytes() != samples[1].read_bytes()


def test_translations_of_the_same_images_are_shown(bench, monkeypatch):
    for name in ("trainA", "trainB", "testA", "testB"):
        save_images(bench.folder / "pairs", (name,), num=5, size=32)
    small = "--crop_size 32 --load_size 32 --ngf 4 --ndf 4 --netG unet_32 --netD n_layers --n_layers_D 1 --device cpu"
    call_train = f"--model pix2pix --dataset_mode aligned --dataroot pairs {small} --n_epochs 1 --n_epochs_decay 0"
    for seed in (0, 1):
        assert bench.train(f"{call_train} --name p{seed} --seed {seed}").status == 0
    call(bench, monkeypatch, compare.main, "p0", "p1", "--device", "cpu")
    images = bench.folder / "results/compare/p0_p1/images"
    assert (images / "p0_real_A.png").read_bytes() == (images / "p1_real_A.png").read_bytes()
    assert (images / "p0_fake_B.png").read_bytes() != (images / "p1_fake_B.png").read_bytes()


def test_the_table_of_results_is_written_from_what_runs_left(runs, monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "PICTURES", tmp_path / "pictures")
    document = tmp_path / "results.md"
    old = "| elsewhere | `command` | data | 1 | 1 s | none | |"
    document.write_text(
        f"# Results\n\n{reproduce.BEGIN}\n| {' | '.join(reproduce.HEADER)} |\n|---|\n{old}\n{reproduce.END}\nend\n"
    )
    for _ in range(2):  # again, it is the same
        call(runs, monkeypatch, reproduce.main, "one", "three", "--measure", "kid", "--document", str(document))
    lines = {line.split("|")[1].strip(): line for line in document.read_text().splitlines() if line.startswith("| ")}
    assert list(lines) == ["run", "elsewhere", "one", "three"]
    assert lines["elsewhere"] == old
    assert "`python " in lines["one"]
    assert "hands, 8 images, 8 x 8 | 8 |" in lines["one"]
    assert re.search(r"\*\*kid_stub -?[\d.]+ ± [\d.]+\*\* \(best; 1000 images against 4 real ones", lines["one"])
    assert "(latest;" in lines["three"]
    assert (tmp_path / "pictures/one.png").exists()
    assert document.read_text().endswith(f"{reproduce.END}\nend\n")


def test_recipes_and_mistakes(runs, monkeypatch, tmp_path, capsys):
    names = reproduce.recipe_runs()
    assert {"rps_cgan", "mnist_cgan", "mnist_wgan_gp", "rps_plain", "rps_modern"} <= set(names)
    document = tmp_path / "empty.md"
    document.write_text("nothing")
    for words, complaint in ((["four"], "there is no run four"), (["one"], "has no lines")):
        with pytest.raises(SystemExit):
            call(runs, monkeypatch, reproduce.main, *words, "--document", str(document))
        assert complaint in capsys.readouterr().err
