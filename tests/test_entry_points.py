"""train.py and then test.py, as a user calls them."""

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.bench import SMALL, Bench
from tests.document import links

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bench with the run ``first`` of two epochs and numbered checkpoints; tests must not train in it."""
    bench = Bench(tmp_path_factory.mktemp("trained"))
    bench.small("--name first --n_epochs 2 --save_epoch_freq 1 --ema .9 --print_freq 2")
    return bench


def one_line(outcome, status):
    """Return the only line of an error."""
    assert outcome.status == status, outcome.err
    assert outcome.err.endswith("\n") and outcome.err.count("\n") == 1, outcome.err
    return outcome.err.split("error: ")[1].strip()


def results(bench, outcome):
    """Return the folder of results that test.py tells of."""
    assert outcome.status == 0, outcome.err
    assert outcome.err == ""
    page = Path(outcome.out.split("results: ")[1].splitlines()[0])
    assert page.is_relative_to(bench.folder) and page.name == "index.html"
    return page.parent


def samples(folder):
    """Return the rows of samples.csv, each with the picture it tells of."""
    with (folder / "samples.csv").open(newline="") as file:
        return [row | {"image": Image.open(folder / row["file"])} for row in csv.DictReader(file)]


# --- train.py


def test_a_run_leaves_what_the_design_says(trained):
    folder = trained.run_dir("first")
    networks = {f"{label}_net_{net}.pth" for label in ("1", "2", "latest") for net in ("G", "D", "G_ema")}
    files = {
        "options.yaml",
        "latest_state.pth",
        "losses.csv",
        "loss_log.txt",
        "train_opt.txt",
        "timing.csv",
        "images.json.gz",
        "web",
        ".lock",
    }
    assert {p.name for p in folder.iterdir()} == networks | files
    assert [len((folder / f).read_text().splitlines()) for f in ("losses.csv", "loss_log.txt", "timing.csv")] == [
        11,
        11,
        3,
    ]
    assert torch.load(folder / "latest_state.pth", weights_only=True)["progress"] == {
        "epoch": 3,
        "step": 10,
        "images": 20,
        "epoch_step": 0,
    }


def test_the_training_page_finds_its_files(trained):
    web = trained.run_dir("first") / "web"
    found = links(web / "index.html")
    assert "page.css" in found
    assert all((web / link).is_file() for link in found)
    entries = [json.loads(line[7:-2]) for line in (web / "log.js").read_text().splitlines()]
    assert [e["step"] for e in entries if e["kind"] == "losses"] == list(range(1, 11))
    assert [e["epoch"] for e in entries if e["kind"] == "epoch"] == [1, 2]
    pictures = [(e["epoch"], e["name"]) for e in entries if e["kind"] == "images"]
    assert pictures == [(0, "real"), (0, "fake"), (1, "fake"), (2, "fake")]
    assert all((web / "images" / e["file"]).is_file() for e in entries if e["kind"] == "images")


def test_what_is_printed_tells_options_and_epochs(bench):
    out = bench.small("--name a --n_epochs 2 --beta1 .9").out
    assert re.search(r"beta1: 0\.9 +\[default: 0\.5\]", out)
    assert "beta2" not in out and "all other options are at their defaults: checkpoints/a/options.yaml" in out
    losses = r"D_real \d\.\d+  D_fake \d\.\d+  G \d\.\d+  lr 0\.0002  \d+ img/s"
    assert re.search(rf"^epoch 1/2  {losses}  00:\d\d left$", out, re.M)
    assert re.search(rf"^epoch 2/2  {losses}$", out, re.M)
    assert out.count(f"training page: {bench.run_dir('a') / 'web' / 'index.html'}\n") == 2
    assert out.endswith("to see what it makes: python test.py --name a\n")


def test_verbose_prints_all_options(bench):
    out = bench.small("--name a --n_epochs 1 --beta1 .9 --verbose").out
    assert re.search(r"beta1: 0\.9 +\[default: 0\.5\]", out)
    assert re.search(r"beta2: 0\.999\n", out) and re.search(r"metrics: kid\n", out)
    assert re.search(r"save_by_iter: off\n", out)


def test_verbose_prints_layers_and_gradients(bench):
    out = bench.small("--name a --n_epochs 1 --verbose").out
    assert "netG: MLPGenerator" in out and "netD: MLPDiscriminator" in out
    assert re.search(r"main\.0 +Linear +2x8 +\d+", out)
    assert re.search(r"in all [\d,]+ parameters, mean \|gradient\| \d", out)
    assert re.search(r"mean \|gradient\|: G \d\S*  D \d", out)


def test_a_run_that_exists_is_refused_and_kept_until_it_is_to_be_deleted(bench):
    bench.small("--name a --n_epochs 1")
    (bench.run_dir("a") / "notes.txt").write_text("mine")
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a --n_epochs 1"
    line = one_line(bench.train(options), 1)
    assert line.startswith("checkpoints/a exists: ") and "--continue_train" in line and "--overwrite" in line
    assert (bench.run_dir("a") / "notes.txt").exists()
    assert bench.train(f"{options} --overwrite --seed 5").status == 0
    assert not (bench.run_dir("a") / "notes.txt").exists()
    assert "seed: 5" in (bench.run_dir("a") / "options.yaml").read_text()


def test_a_folder_that_is_no_run_is_never_deleted(bench):
    (bench.run_dir("a") / "photos").mkdir(parents=True)
    (bench.run_dir("a") / "photos" / "me.jpg").write_text("dear")
    options = f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a --n_epochs 1"
    assert "checkpoints/a exists" in one_line(bench.train(options), 1)
    assert "holds no run of train.py" in one_line(bench.train(f"{options} --overwrite"), 1)
    assert (bench.run_dir("a") / "photos" / "me.jpg").read_text() == "dear"


def test_runs_without_a_name_get_one(bench):
    for name in ("hands_cgan", "hands_cgan-2", "hands_cgan-3"):
        assert f"new run checkpoints/{name} " in bench.small("--n_epochs 1").out
    assert sorted(p.name for p in (bench.folder / "checkpoints").iterdir()) == [
        "hands_cgan",
        "hands_cgan-2",
        "hands_cgan-3",
    ]


def test_a_saved_record_trains_the_same_run_again(bench):
    bench.small("--name a --n_epochs 1 --overwrite")
    bench.small("--name precious --n_epochs 1")
    assert bench.train("--config checkpoints/a/options.yaml --name b").status == 0
    assert (bench.run_dir("a") / "losses.csv").read_bytes() == (bench.run_dir("b") / "losses.csv").read_bytes()
    assert bench.train("--name b --continue_train --n_epochs 2").status == 0
    assert bench.train("--config checkpoints/b/options.yaml --name c").status == 0
    assert "precious exists" in one_line(bench.train("--config checkpoints/a/options.yaml --name precious"), 1)


def test_a_run_may_begin_from_the_weights_of_another(bench):
    bench.small("--name a --n_epochs 1 --lr .1")
    bench.small("--name b --n_epochs 1 --lr 1e-30 --init_from a")
    a, b = (torch.load(bench.run_dir(name) / "latest_net_D.pth", weights_only=True) for name in "ab")
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert "latest_net_D.pth does not fit" in one_line(
        bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name c --init_from a --hidden_D 9"), 1
    )
    assert not bench.run_dir("c").exists()
    assert "no run 'x'" in one_line(
        bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name c --init_from x"), 2
    )


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        ("--device cuda:77", 1, "--device cuda:77"),
        ("--device gpu", 1, "--device gpu: not a device"),
        ("--accumulate 3", 1, "--accumulate 3 does not divide --batch_size 2 evenly"),
        ("--lr_policy plateau --plateau_loss H", 1, "--plateau_loss H: this model logs D_real, D_fake, G"),
        ("--val_list nowhere.txt", 1, "nowhere.txt"),
        ("--checkpoints_dir hands/rock/0.png", 1, "hands/rock/0.png"),
    ],
)
def test_what_only_building_shows_is_one_line_too(bench, options, status, complaint):
    outcome = bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name a --n_epochs 1 {options}")
    assert complaint in one_line(outcome, status)


def test_a_size_that_the_network_does_not_make_is_one_line_too(bench):
    outcome = bench.train("--model dcgan --dataroot hands --batch_size 2 --image_size 12 --device cpu --name a")
    assert "--netG dcgan makes images of 32, 64, 128, 256 pixels, not 12: change --image_size" in one_line(outcome, 1)


@pytest.mark.parametrize("classes", [("rock",), ("",)], ids=["one class", "no class"])
def test_data_without_two_classes_is_refused_by_a_model_that_needs_them(bench, classes):
    shutil.rmtree(bench.folder / "hands" / "paper")
    if classes == ("",):
        for file in (bench.folder / "hands" / "rock").iterdir():
            file.rename(bench.folder / "hands" / file.name)
        (bench.folder / "hands" / "rock").rmdir()
    line = one_line(bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL}"), 1)
    assert line.startswith("--model cgan needs images of two or more classes")
    assert not (bench.folder / "checkpoints").exists()


# --- test.py


def test_without_a_word_the_newest_run_is_shown(bench):
    bench.small("--name older --n_epochs 1")
    bench.small("--name newer --n_epochs 1")
    folder = results(bench, bench.test())
    assert folder == bench.folder / "results" / "newer" / "test_latest"
    assert len(samples(folder)) == 100
    assert bench.train("--name older --continue_train --n_epochs 2").status == 0
    assert results(bench, bench.test()).parent.name == "older"


def test_the_page_shows_what_there_is_and_says_what_it_is(trained):
    outcome = trained.test("--num_test 30")
    folder = results(trained, outcome)
    assert outcome.out.startswith("cgan, epoch latest, moving average of G, seed 0\n")
    found = links(folder / "index.html")
    assert all((folder / link).is_file() for link in found)
    assert len({link for link in found if link.startswith("images/fake/")}) == 30
    assert {row["image"].size for row in samples(folder)} == {(8, 8)}
    assert {row["image"].mode for row in samples(folder)} == {"RGB"}


@pytest.mark.parametrize(
    ("words", "drawn"),
    [
        ("", ["paper", "rock"] * 4),
        ("--labels rock", ["rock"] * 8),
        ("--labels rock,paper", ["rock", "paper"] * 4),
        ("--labels 1,0,0", ["rock", "paper", "paper", "rock", "paper", "paper", "rock", "paper"]),
        ("--labels 1,rock,paper --num_test 3", ["rock", "rock", "paper"]),
        ("--labels paper --num_test 1", ["paper"]),
        ("--num_test 1", ["paper"]),
    ],
)
def test_labels_are_drawn_in_the_order_given(trained, words, drawn):
    rows = samples(results(trained, trained.test(f"--num_test 8 {words}")))
    assert [row["class"] for row in rows] == drawn
    assert [int(row["label"]) for row in rows] == [["paper", "rock"].index(name) for name in drawn]
    assert [Path(row["file"]).parent.name for row in rows] == drawn
    assert [row["index"] for row in rows] == [str(i) for i in range(len(drawn))]


def test_an_image_depends_on_its_number_and_the_seed_alone(trained):
    def pixels(words):
        return [row["image"].tobytes() for row in samples(results(trained, trained.test(f"--labels rock {words}")))]

    eight = pixels("--num_test 8")
    assert pixels("--num_test 5 --batch_size 2") == eight[:5]
    assert len(set(eight)) == 8
    assert not set(pixels("--num_test 8 --seed 1")) & set(eight)
    assert pixels("--num_test 8 --epoch 2") == eight
    assert pixels("--num_test 8 --epoch 1") != eight
    assert pixels("--num_test 8 --no_ema") != eight
    assert pixels("--num_test 8 --no_eval") != eight


def test_results_of_other_epochs_and_phases_have_folders_of_their_own(trained):
    def tested(words):
        return results(trained, trained.test(f"--num_test 2 --results_dir own {words}"))

    assert tested("--epoch 1").name == "test_1"
    assert tested("--phase val").name == "val_latest"
    assert tested("--num_test 5").name == tested("").name == "test_latest"
    again = tested("")
    assert len(list(again.rglob("fake/*/*.png"))) == 2  # those of before are gone
    assert not list(again.parent.glob(".*.tmp"))


def test_a_walk_is_a_row_for_each_class(trained):
    folder = results(trained, trained.test("--num_test 2 --interpolate 5"))
    with Image.open(folder / "images/walk/walk.png") as walk:
        assert walk.width / walk.height == pytest.approx(5 / 2, rel=0.05)
    assert "images/walk/walk.png" in links(folder / "index.html")
    one = results(trained, trained.test("--num_test 2 --interpolate 1 --labels rock"))
    with Image.open(one / "images/walk/walk.png") as walk:
        assert walk.width == walk.height


def test_verbose_prints_what_the_networks_consist_of(trained):
    before = (trained.run_dir("first") / "latest_net_G.pth").read_bytes()
    out = trained.test("--verbose --num_test 1").out
    assert re.search(r"netG: \S+\n( +\S+ +\S+ +[\dx]+ +[\d,]+\n)+ +in all [\d,]+ parameters, mean \|gradient\| \d", out)
    assert (trained.run_dir("first") / "latest_net_G.pth").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        ("--labels rok", 1, "--labels rok: no class of that name, and indices go from 0 to 1; did you mean 'rock'?"),
        ("--labels 2", 1, "--labels 2: no class of that name, and indices go from 0 to 1"),
        ("--labels rock,-1", 1, "--labels -1: no class of that name"),
        ("--epoch 7", 1, "there is no 7_net_G.pth in checkpoints/first; --epoch can be 1, 2, latest"),
        ("--name frist", 2, "no run 'frist' in checkpoints/; did you mean 'first'?"),
        ("--checkpoints_dir nowhere", 2, "there is no run in nowhere/; train one first"),
        ("--verbose --dataroot nowhere --num_test 1", 1, "--dataroot nowhere: neither a path nor a name"),
    ],
)
def test_a_mistake_of_testing_is_one_line(trained, words, status, complaint):
    outcome = trained.test(words)
    assert outcome.status == status
    last = outcome.err.splitlines()[-1]
    assert complaint in last and re.match(r"\S+: error: ", last)
    if "--verbose" not in words:
        one_line(outcome, status)


def test_results_of_someone_else_are_not_deleted(trained):
    folder = trained.folder / "results" / "first" / "train_latest"
    folder.mkdir(parents=True)
    (folder / "thesis.txt").write_text("dear")
    line = one_line(trained.test("--phase train --num_test 1"), 1)
    assert "results/first/train_latest holds no earlier results" in line
    assert (folder / "thesis.txt").read_text() == "dear"


def test_a_run_that_was_stopped_before_its_first_save_has_nothing_to_show(bench):
    bench.small("--name a --n_epochs 1")
    for file in bench.run_dir("a").glob("*_net_*.pth"):
        file.unlink()
    assert "nothing was saved" in one_line(bench.test(), 1)


# --- the template, from end to end


def test_the_template_trains_and_translates(bench):
    bench.small("--name other --n_epochs 1")
    for i, split in enumerate(("train", "test")):
        shutil.copytree(bench.folder / "hands" / ("paper", "rock")[i], bench.folder / "pairs" / split / "a b#")
    options = "--model template --dataroot pairs --image_size 8 --batch_size 3 --ngf 4 --n_epochs 1 --n_epochs_decay 1"
    outcome = bench.train(f"{options} --device cpu --name t")
    assert outcome.status == 0, outcome.err
    assert "epoch 2/2  regression 0." in outcome.out
    assert bench.train("--name t --continue_train --n_epochs 2").status == 0
    folder = results(bench, bench.test("--name t"))
    pictures = sorted(p.relative_to(folder / "images").as_posix() for p in (folder / "images").rglob("*.png"))
    kinds = ("fake_B", "real_A", "real_B")
    assert pictures == [f"{kind}/a b#/{i}.png" for kind in kinds for i in range(6)]
    found = links(folder / "index.html")
    assert len(found) >= 18 and all((folder / link).is_file() for link in found)
    assert len(list(results(bench, bench.test("--name t --num_test 2")).rglob("fake_B/*/*.png"))) == 2
    other = results(bench, bench.test("--name t --dataroot hands --num_test 3"))
    assert (other / "images/fake_B/paper/0.png").exists()


# --- as processes


@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_the_scripts_run_from_any_folder(tmp_path, script):
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / script), "--help"], cwd=tmp_path, capture_output=True, text=True, env={}
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--checkpoints_dir" in done.stdout
    wrong = subprocess.run(
        [sys.executable, str(REPOSITORY / script), "--nmae", "x"], cwd=tmp_path, capture_output=True, text=True, env={}
    )
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert wrong.stderr.startswith(f"{script}: error: ")


def test_a_run_by_the_recipe_of_the_source_names_a_better_one(trained):
    usual = "--model cgan --dataroot hands --image_size 32 --n_epochs 1 --max_dataset_size 2 --device cpu"

    def mentioned(options):
        outcome = trained.train(options)
        assert outcome.status == 0, outcome.err
        return [line for line in outcome.out.splitlines() if "better images come from" in line]

    (line,) = mentioned(f"{usual} --name source --batch_size 2")
    recipe = line.split("come from ")[1]
    demo = " ".join((REPOSITORY / "scripts/demo.sh").read_text().split())
    asked = re.findall(r"--\w+ \S+", recipe)
    assert len(asked) > 5
    assert all(f"{option} " in demo for option in asked)  # the best that the documentation knows of
    assert mentioned(f"{usual} --name better {recipe} --batch_size 2 --ngf 4 --ndf 4") == []
    assert mentioned("--name source --continue_train --n_epochs 2") == []
