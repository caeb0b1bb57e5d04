"""Translation from the command line: every model trains, goes on after a kill, and is shown; so are others' weights."""

import csv
import json
import math
import re
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageSequence

from models.networks.architecture import GeneratorArchitecture
from models.networks.sides import Upsample
from models.networks.translation import create_generator
from options.upstream import read_options_table
from tests.bench import Bench, in_child, save_images
from tests.document import links
from tests.test_resume import assert_same_run, by, interrupted, state
from tests.tiny_models import create

REFERENCE = json.loads((Path(__file__).parent / "reference" / "networks.json").read_text())
SMALL = (
    "--batch_size 2 --load_size 36 --crop_size 32 --ngf 2 --ndf 2 --netD n_layers --n_layers_D 1 --device cpu "
    "--n_epochs 1 --n_epochs_decay 1 --print_freq 4 --save_latest_freq 4 --num_threads 1 --ema .9"
)
MODELS = {
    "pix2pix": "--netG unet_32 --pool_size 3",
    "cycle_gan": "--netG resnet_1blocks --pool_size 3",
    "colorization": "--netG unet_32",
    "cut": "--netG resnet_1blocks --nce_layers 0,4,8 --num_patches 16 --netF_nc 8 --CUT_mode FastCUT --nce_idt",
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A bench with ``pairs`` (trainA and so on, 6 images of 32 pixels each) and a run of each model, named after it."""
    bench = Bench(tmp_path_factory.mktemp("translation"))
    save_images(bench.folder / "pairs", ("trainA", "trainB", "testA", "testB"), num=6, size=32)
    for model in MODELS:
        train(bench, model, model)
    return bench


def train(bench, model, name, more=""):
    outcome = bench.train(f"--model {model} --dataroot pairs --name {name} {MODELS[model]} {SMALL} {more}")
    assert outcome.status == 0, outcome.err
    return outcome


def shown(bench, options):
    """Return the folder of results that a successful test.py wrote, and what it printed."""
    outcome = bench.test(options)
    assert outcome.status == 0, outcome.err
    page = Path(outcome.out.rsplit("results: ", 1)[1].splitlines()[0])
    assert all((page.parent / link).is_file() for link in links(page))
    return page.parent, outcome.out


def refused(outcome, status):
    assert (outcome.status, outcome.err.count("\n")) == (status, 1), outcome
    return outcome.err


def pictures(folder, kind):
    return sorted(p.relative_to(folder / "images" / kind).as_posix() for p in (folder / "images" / kind).rglob("*.*"))


# Training


@pytest.mark.parametrize("step", [1, 4])
@pytest.mark.parametrize("model", MODELS)
def test_a_killed_run_goes_on_as_if_nothing_had_been(home, model, step):
    """Bit for bit, the history of generated images included, with the state of before the kill or of the start."""
    name = f"killed_{model}_{step}"
    with interrupted(step, by(signal.SIGKILL)):
        assert in_child(lambda: train(home, model, name)) == -signal.SIGKILL
    assert home.train(f"--name {name} --continue_train").status == 0
    assert_same_run(home.run_dir(name), home.run_dir(model))


def test_the_history_is_saved(home):
    assert state(home.run_dir("cycle_gan"))["model"]["pool_A.count"] == 3


def test_losses_have_the_names_that_users_know(home):
    names = {m: (home.run_dir(m) / "losses.csv").read_text().split("\n")[0].split(",")[3:] for m in MODELS}
    assert set(names["pix2pix"]) == set(names["colorization"]) == {"G_GAN", "G_L1", "D_real", "D_fake"}
    assert set(names["cut"]) == {"G_GAN", "D_real", "D_fake", "NCE", "NCE_Y"}
    assert set(names["cycle_gan"]) == {"D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B"}


def test_a_save_may_be_kept_by_its_number(home):
    train(home, "pix2pix", "kept", "--save_by_iter --no_html --suffix {model}_{netG}_{crop_size}")
    folder = home.run_dir("kept_pix2pix_unet_32_32")
    assert sorted(p.name for p in folder.glob("iter_*_net_G.pth")) == [
        "iter_12_net_G.pth",
        "iter_4_net_G.pth",
        "iter_8_net_G.pth",
    ]
    assert not (folder / "web").exists()
    results, _ = shown(home, "--name kept --suffix pix2pix_unet_32_32 --load_iter 8")
    assert results.name == "test_iter_8"


def test_flags_without_a_meaning_warn_once_and_say_what_to_do(home):
    words = "--update_html_freq 1000 --display_ncols 4 --display_winsize 256 --epoch latest"
    outcome = train(home, "pix2pix", "old_words", words)
    warnings = outcome.err.splitlines()
    assert [w.split(" has no effect here: ")[0] for w in warnings] == [
        f"warning: --{name}" for name in ("display_ncols", "epoch", "update_html_freq", "display_winsize")
    ]
    assert all(len(w.split(" has no effect here: ")[1]) > 10 for w in warnings)


# Testing


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("pix2pix", "real_A fake_B real_B"),
        ("cycle_gan", "real_A fake_B rec_A idt_B real_B fake_A rec_B idt_A"),
        ("colorization", "real_A real_B_rgb fake_B_rgb"),
        ("cut", "real_A fake_B real_B idt_B"),
    ],
)
def test_every_image_is_shown_in_a_folder_of_its_kind(home, model, kinds):
    folder, out = shown(home, f"--name {model}")
    assert sorted(p.name for p in (folder / "images").iterdir()) == sorted(kinds.split())
    for kind in kinds.split():
        assert pictures(folder, kind) == [f"{i}.png" for i in range(6)]
    assert "left out" not in out
    assert "moving average" in out


@pytest.mark.parametrize("model", MODELS)
def test_results_do_not_depend_on_the_batch(home, model):
    alone, together = (shown(home, f"--name {model} --batch_size {n} --results_dir r{n}")[0] for n in (1, 4))
    for kind in ("fake_B", "fake_B_rgb"):
        for name in pictures(together, kind) if (together / "images" / kind).exists() else []:
            pixels = [np.asarray(Image.open(f / "images" / kind / name), np.int16) for f in (alone, together)]
            assert abs(pixels[0] - pixels[1]).max() <= 1


def test_what_is_left_out_is_said(home):
    folder, out = shown(home, "--name pix2pix --num_test 2")
    assert "--num_test 2: 4 of the 6 images are left out" in out
    assert len(pictures(folder, "fake_B")) == 2


def test_one_direction_of_a_cycle_is_found(home):
    forth, out = shown(home, "--name cycle_gan --model test --results_dir forth")
    assert "latest_net_G_A_ema.pth: resnet_1blocks" in out
    assert sorted(p.name for p in (forth / "images").iterdir()) == ["fake", "real"]
    back, out = shown(home, "--name cycle_gan --model test --direction BtoA --no_ema --results_dir back")
    assert "latest_net_G_B.pth" in out
    _, out = shown(home, "--name cycle_gan --model test --model_suffix _B --results_dir suffix")
    assert "latest_net_G_B_ema.pth" in out
    whole, _ = shown(home, "--name cycle_gan")
    for kind, folder in (("fake_B", forth), ("real_A", forth)):
        other = {"fake_B": "fake", "real_A": "real"}[kind]
        assert (whole / "images" / kind / "3.png").read_bytes() == (folder / "images" / other / "3.png").read_bytes()
    assert (back / "images/real/3.png").read_bytes() == (whole / "images/real_B/3.png").read_bytes()


def test_a_cycle_is_shown_either_way_round(home):
    """With --direction, the generator that learnt this way is taken, whatever was A in training."""
    train(home, "cycle_gan", "backwards", "--direction BtoA")
    whole, _ = shown(home, "--name backwards --results_dir whole")
    forth, out = shown(home, "--name backwards --model test --results_dir forth")
    assert "latest_net_G_A_ema.pth" in out  # of the direction it was trained in
    turned, _ = shown(home, "--name backwards --direction AtoB --results_dir turned")
    back, out = shown(home, "--name backwards --model test --direction AtoB --results_dir back")
    assert "latest_net_G_B_ema.pth" in out
    for name in ("0.png", "5.png"):
        assert same(forth / "images/fake" / name, whole / "images/fake_B" / name)
        assert same(whole / "images/real_A" / name, home.folder / "pairs/testB" / name)
        assert same(turned / "images/fake_B" / name, whole / "images/fake_A" / name)
        assert same(back / "images/fake" / name, turned / "images/fake_B" / name)


def test_the_direction_of_others_weights_is_read_from_their_table(home):
    folder = home.run_dir("their_cycle")
    folder.mkdir()
    for side in "AB":
        source = home.run_dir("cycle_gan") / f"latest_net_G_{side}.pth"
        (folder / source.name).write_bytes(source.read_bytes())
    (folder / "train_opt.txt").write_text("direction: BtoA\ncrop_size: 32\n")
    _, out = shown(home, "--name their_cycle --dataroot pairs")
    assert "latest_net_G_A.pth" in out
    _, out = shown(home, "--name their_cycle --dataroot pairs --direction AtoB")
    assert "latest_net_G_B.pth" in out


def same(one, other):
    """Compare two pictures, of which one may have been squashed to the crop size."""
    pixels = [np.asarray(Image.open(path).convert("RGB"), np.int16) for path in (one, other)]
    return pixels[0].shape == pixels[1].shape and abs(pixels[0] - pixels[1]).max() <= 1


def test_training_images_are_shown_whole_too(home):
    """As test images are: squashed to the crop size, nothing cut off, in batches."""
    folder, _ = shown(home, "--name pix2pix --phase train")
    assert same(folder / "images/real_A/2.png", home.folder / "pairs/trainA/2.png")
    folder, _ = shown(home, "--name pix2pix --phase train --preprocess none --batch_size 3")
    assert len(pictures(folder, "fake_B")) == 6


def test_sizes_may_be_others_than_in_training(home):
    folder, _ = shown(home, "--name pix2pix --crop_size 64")
    assert Image.open(folder / "images/fake_B/1.png").size == (64, 64)


def test_names_in_any_alphabet_stay(home):
    (home.folder / "names").mkdir()
    for name in ("Müller bild.png", "猫.png"):
        Image.new("RGB", (32, 32)).save(home.folder / "names" / name)
    folder, _ = shown(home, "--name pix2pix --model test --dataroot names")
    assert pictures(folder, "fake") == ["Müller bild.png", "猫.png"]


def test_a_suffix_with_braces_leads_back_to_its_run(home):
    train(home, "pix2pix", "braces", "--suffix {model}_{netG}")
    assert home.run_dir("braces_pix2pix_unet_32").is_dir()
    folder, _ = shown(home, "--name braces --suffix {model}_{netG}")
    assert folder.parent.name == "braces_pix2pix_unet_32"
    outcome = home.train("--name braces --suffix {model}_{netG} --continue_train --n_epochs_decay 2")
    assert (outcome.status, outcome.err) == (0, "")


def test_npy_pairs_are_found_in_every_layout(home):
    for layout in ("one/A/train", "one/B/train", "two/train"):
        (home.folder / layout).mkdir(parents=True)
        for i in range(2):
            width = 64 if layout == "two/train" else 32
            np.save(home.folder / layout / f"{i}.npy", np.full((32, width, 3), 100 * i, np.uint8))
    for name in ("one", "two"):
        outcome = home.train(f"--model pix2pix --dataroot {name} --name npy_{name} {MODELS['pix2pix']} {SMALL}")
        assert (outcome.status, outcome.err) == (0, "")


@pytest.fixture
def mixed(home):
    """A folder with sub-folders and equal names, by name."""
    for name in ("a/1.png", "b/1.png", "b/1.jpg", "2.png"):
        path = home.folder / "mixed" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 20), "red").save(path)
    return "mixed"


def test_sub_folders_and_equal_names_stay_apart(home, mixed):
    folder, _ = shown(home, f"--name pix2pix --model test --dataroot {mixed} --preprocess none")
    assert pictures(folder, "fake") == ["2.png", "a/1.png", "b/1.jpg.png", "b/1.png.png"]
    assert Image.open(folder / "images/fake/2.png").size == (40, 20)


def test_results_may_lie_in_one_folder(home, mixed):
    """As scripts for pytorch-CycleGAN-and-pix2pix look for them."""
    folder, _ = shown(home, "--name pix2pix --results_layout flat --results_dir flat")
    kinds = ("real_A", "fake_B", "real_B")
    assert sorted(p.name for p in (folder / "images").iterdir()) == sorted(
        f"{i}_{k}.png" for i in range(6) for k in kinds
    )
    usual, _ = shown(home, "--name pix2pix --results_dir folders")
    assert (folder / "images/3_fake_B.png").read_bytes() == (usual / "images/fake_B/3.png").read_bytes()
    folder, _ = shown(home, f"--name pix2pix --model test --dataroot {mixed} --preprocess none --results_layout flat")
    names = sorted(p.name for p in (folder / "images").glob("*_fake.png"))
    assert names == ["2_fake.png", "a%2F1_fake.png", "b%2F1.jpg_fake.png", "b%2F1.png_fake.png"]


def test_frames_become_an_animation_in_their_order(home):
    for i in (1, 2, 10):  # 2 comes before 10
        (home.folder / "frames").mkdir(exist_ok=True)
        Image.new("RGB", (32, 32), (20 * i, 0, 0)).save(home.folder / "frames" / f"{i}.png")
    folder, _ = shown(home, "--name pix2pix --model test --dataroot frames --animate .25")
    with Image.open(folder / "animations/real.webp") as film:
        reds = [np.asarray(frame.convert("RGB"))[16, 16, 0] for frame in ImageSequence.Iterator(film)]
        assert film.info["duration"] == 250
    assert reds == sorted(reds) and len(reds) == 3 and reds[2] > 150


def test_one_file_may_be_the_data(home):
    folder, _ = shown(home, "--name pix2pix --model test --dataroot pairs/testA/3.png")
    assert pictures(folder, "fake") == ["3.png"]


def test_a_large_rectangle_is_translated_in_tiles(home):
    (home.folder / "large").mkdir(exist_ok=True)
    Image.new("RGB", (301, 97), "blue").save(home.folder / "large/1.png")
    options = "--name cycle_gan --model test --dataroot large --preprocess none --tile 64 --tile_overlap 16"
    folder, _ = shown(home, options)
    assert Image.open(folder / "images/fake/1.png").size == (301, 97)


def test_images_whose_B_is_known_have_figures(home):
    def figures(options):
        folder, _ = shown(home, options)
        with (folder / "samples.csv").open(newline="") as file:
            return folder, {(row["kind"], Path(row["output"]).name): row for row in csv.DictReader(file)}

    folder, rows = figures("--name pix2pix")
    fake, real = (np.asarray(Image.open(folder / f"images/{kind}_B/3.png"), float) / 127.5 for kind in ("fake", "real"))
    found = rows["fake_B", "3.png"]
    assert float(found["l1"]) == pytest.approx(abs(fake - real).mean(), rel=0.02)
    assert float(found["psnr"]) == pytest.approx(10 * math.log10(4 / ((fake - real) ** 2).mean()), rel=0.02)
    assert found["ssim"] and not any(rows["real_B", "3.png"][name] for name in ("l1", "psnr", "ssim"))
    assert 'value="-ssim"' in (folder / "index.html").read_text()
    for options in ("--name cycle_gan", "--name pix2pix --model test --dataroot pairs/testA"):
        _, rows = figures(options)
        assert not any(row["l1"] for row in rows.values())  # nothing there is what an image should be


def test_images_may_be_stretched(home):
    wide, _ = shown(home, "--name pix2pix --aspect_ratio 1.5 --display_winsize 99")
    assert Image.open(wide / "images/fake_B/1.png").size == (48, 32)
    assert 'width="99"' in (wide / "index.html").read_text()
    high, _ = shown(home, "--name pix2pix --aspect_ratio 0.5")
    assert Image.open(high / "images/fake_B/1.png").size == (32, 64)


def test_sixteen_bits_come_out_as_sixteen_bits(home):
    import cv2

    (home.folder / "deep").mkdir(exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 65536, (32, 32, 3), dtype=np.uint16)
    cv2.imwrite(str(home.folder / "deep/1.png"), pixels)
    folder, _ = shown(home, "--name pix2pix --model test --dataroot deep")
    real, fake = (cv2.imread(str(folder / f"images/{kind}/1.png"), cv2.IMREAD_UNCHANGED) for kind in ("real", "fake"))
    assert real is not None and np.array_equal(real, pixels)
    assert fake is not None and fake.dtype == np.uint16


def test_any_number_of_channels_and_float_numbers_go_through(home):
    """From two channels to five, between -2 and 6: shown as pictures, kept as they are in .npy files."""
    numbers = np.random.default_rng(0)
    for side, channels in (("A", 2), ("B", 5)):
        for split in ("train", "test"):
            (home.folder / f"spectra/{split}{side}").mkdir(parents=True)
            for i in range(4):
                pixels = numbers.uniform(-2, 6, (40, 33, channels)).astype(np.float32)
                np.save(home.folder / f"spectra/{split}{side}/{i}.npy", pixels)
    options = f"--model pix2pix --dataroot spectra --name spectra {MODELS['pix2pix']} {SMALL} --value_range=-2,6"
    outcome = home.train(options)
    assert (outcome.status, outcome.err) == (0, "")
    assert (home.run_dir("spectra") / "web/images").is_dir()
    folder, _ = shown(home, "--name spectra --preprocess none")
    assert pictures(folder, "fake_B") == [f"{i}.{kind}" for i in range(4) for kind in ("npy", "png")]
    fake, real = (np.load(folder / f"images/{kind}/2.npy") for kind in ("fake_B", "real_B"))
    assert (fake.shape, fake.dtype) == ((40, 33, 5), np.float32)
    assert -2 <= fake.min() < fake.max() <= 6
    np.testing.assert_allclose(real, np.load(home.folder / "spectra/testB/2.npy"), atol=1e-5)


def test_models_and_data_that_do_not_fit_each_other_are_refused(home):
    line = refused(home.train("--model cgan --dataroot pairs --dataset_mode unaligned --name no --image_size 8"), 2)
    assert "there is no option --image_size here" in line
    options = "--dataroot pairs --name no --batch_size 2 --device cpu"
    line = refused(home.train(f"--model gan --dataset_mode unaligned --crop_size 16 --load_size 16 {options}"), 1)
    assert "--dataset_mode unaligned gives A, B, but this model needs image: use image_folder" in line
    line = refused(home.train(f"--model template --dataset_mode image_folder {options}"), 1)
    assert "--dataset_mode image_folder gives image, label, but this model needs A, B: use template" in line
    noise = "--model gan --image_size 8 --hidden_G 8 --hidden_D 8 --n_epochs 1"  # which takes all images alike
    assert home.train(f"{noise} --dataroot pairs --name all --batch_size 2 --device cpu").status == 0


def test_the_reference_behaviour_is_there_for_those_who_ask(home):
    """In training mode: dropout is on, so that two passes differ, and batch norm sees one image at a time."""
    name = "pix2pix"
    first, _ = shown(home, f"--name {name} --no_eval --results_dir n1")
    calm, _ = shown(home, f"--name {name} --results_dir n2")
    assert (first / "images/fake_B/1.png").read_bytes() != (calm / "images/fake_B/1.png").read_bytes()


# Weights from elsewhere


def wave(shape, i):
    return (0.02 * torch.sin(0.37 * torch.arange(math.prod(shape), dtype=torch.float64) + i)).float().reshape(shape)


@pytest.mark.parametrize("wrapper", ["", "module."])
def test_weights_of_the_reference_give_its_outputs(bench, wrapper):
    """Keys and figures are those of networks.json; the network's option is not needed but may be given."""
    name = "resnet_9blocks, batch"
    known = next(
        n for n in REFERENCE["networks"].values() if (n["name"], n["norm"], n["dropout"]) == (*name.split(", "), False)
    )
    weights = {}
    for i, (key, shape) in enumerate(REFERENCE["layouts"][known["layout"]]):
        kind = key.rsplit(".", 1)[1]
        if kind == "num_batches_tracked":
            weights[wrapper + key] = torch.tensor(0)
        elif kind.startswith("running"):
            weights[wrapper + key] = torch.full(shape, float(kind == "running_var"))
        else:
            weights[wrapper + key] = wave(shape, i) + float(kind == "weight" and len(shape) == 1)
    bench.run_dir("theirs").mkdir(parents=True)
    torch.save(weights, bench.run_dir("theirs") / "latest_net_G.pth")
    # The figures are those of running statistics, which a run of larger batches has.
    table = "----- Options -----\n   batch_size: 8  \t[default: 1]\n  no_dropout: True\n max_dataset_size: inf\n"
    (bench.run_dir("theirs") / "train_opt.txt").write_text(table)
    images = (
        torch.cos(0.01 * torch.arange(math.prod(known["input"]), dtype=torch.float64)).float().reshape(known["input"])
    )
    (bench.folder / "waves").mkdir()
    np.save(bench.folder / "waves/1.npy", images[0].permute(1, 2, 0).numpy())
    words = "--netG resnet_9blocks --no_dropout" if wrapper else ""
    options = f"--model test --name theirs --dataroot waves --value_range=-1,1 --preprocess none {words}"
    folder, _ = shown(bench, options)
    output = np.load(folder / "images/fake/1.npy").transpose(2, 0, 1)
    np.testing.assert_allclose(output.ravel()[known["index"]], known["sample"], rtol=0, atol=1e-5)
    np.testing.assert_allclose((output.mean(), output.std(ddof=1)), (known["mean"], known["std"]), rtol=0, atol=1e-5)


def test_weights_that_are_saved_have_the_keys_of_the_reference(home):
    for name in ("G", "D"):
        saved = torch.load(home.run_dir("pix2pix") / f"latest_net_{name}.pth", weights_only=True)
        model = create("pix2pix", ngf=2, ndf=2)
        assert list(saved) == list(model.nets[name].state_dict())
        model.load_net(name, saved)
    layout = REFERENCE["layouts"][REFERENCE["networks"][next(iter(REFERENCE["networks"]))]["layout"]]
    assert all(re.fullmatch(r"model\.\d+(\.conv_block\.\d+)?\.(weight|bias)", key) for key, _ in layout)


def test_a_test_leaves_its_options_as_the_reference_writes_them(home):
    folder = home.run_dir("pix2pix")
    of_training = (folder / "train_opt.txt").read_text()
    shown(home, "--name pix2pix --phase train --results_dir told --no_eval")
    assert (folder / "train_opt.txt").read_text() == of_training
    read = {name: entry.value for name, entry in read_options_table(folder / "test_opt.txt").items()}
    wanted = {"phase": "train", "eval": False, "netG": "unet_32", "ngf": "2", "direction": "AtoB"}
    assert {name: read[name] for name in wanted} == wanted
    assert re.search(r"^ +ngf: 2 +\t\[default: 64\]$", (folder / "test_opt.txt").read_text(), re.M)


def test_results_do_not_need_a_place_for_options_beside_the_weights(home):
    (home.run_dir("pix2pix") / "test_opt.txt").unlink(missing_ok=True)
    (home.run_dir("pix2pix") / "test_opt.txt").mkdir()
    outcome = home.test("--name pix2pix --results_dir placeless")
    (home.run_dir("pix2pix") / "test_opt.txt").rmdir()
    assert outcome.status == 0
    assert re.search(r"test_opt.txt is not written: .*directory", outcome.err)


@pytest.mark.parametrize(("words", "given", "made"), [("pix2pix", "real_A", "fake_B"), ("test", "real", "fake")])
def test_the_direction_of_weights_alone_says_which_side_goes_in(home, words, given, made):
    """As the README of pytorch-CycleGAN-and-pix2pix shows its downloaded label2photo weights."""
    folder = home.run_dir("facades_label2photo_pretrained")
    folder.mkdir(exist_ok=True)
    source = home.run_dir("pix2pix") / "latest_net_G.pth"
    (folder / source.name).write_bytes(source.read_bytes())
    sides = "--load_size 32 --crop_size 32 --device cpu"
    results, _ = shown(home, f"--dataroot pairs/ --direction BtoA --model {words} --name {folder.name} {sides}")
    assert same(results / f"images/{given}/3.png", home.folder / "pairs/testB/3.png")
    assert pictures(results, made) == [f"{i}.png" for i in range(6)]


def test_running_statistics_of_batches_of_one_may_be_asked_for(home):
    """The --eval of pytorch-CycleGAN-and-pix2pix."""
    train(home, "pix2pix", "one", "--batch_size 1")
    usual, _ = shown(home, "--name one --results_dir usual --no_ema")
    running, _ = shown(home, "--name one --results_dir running --no_ema --running_stats")
    net = create("pix2pix", ngf=2, ndf=2).netG
    net.load_state_dict(torch.load(home.run_dir("one") / "latest_net_G.pth", weights_only=True))
    pixels = np.asarray(Image.open(home.folder / "pairs/testA/3.png"), np.float32) / 127.5 - 1
    with torch.no_grad():
        wanted = net.eval()(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0).numpy()
    for folder, is_running in ((running, True), (usual, False)):
        image = np.asarray(Image.open(folder / "images/fake_B/3.png"), np.float32) / 127.5 - 1
        assert (abs(image - wanted).max() < 1.5 / 127.5) == is_running
    assert "--running_stats are of evaluation mode" in refused(home.test("--name one --running_stats --no_eval"), 2)


@pytest.mark.parametrize("model", MODELS)
def test_a_test_needs_no_discriminator_of_the_same_options(home, model):
    """Weights of pytorch-CycleGAN-and-pix2pix do not say which --ndf and --netD they were trained with."""
    folder = home.run_dir(f"their_{model}")
    folder.mkdir()
    for source in home.run_dir(model).glob("latest_net_G*.pth"):
        (folder / source.name).write_bytes(source.read_bytes())
    for side in ("", "_A", "_B"):
        torch.save({"weight": torch.zeros(2)}, folder / f"latest_net_D{side}.pth")
    sides = "--load_size 32 --crop_size 32"
    _, out = shown(home, f"--model {model} --name their_{model} --dataroot pairs {sides} --device cpu")
    assert "latest, moving average of G" in out


@pytest.mark.parametrize("words", ["--model test", "--model cut", "--model cut --no_antialias_up"])
def test_weights_of_cut_are_shown(bench, words):
    """Default generators of CUT, and with --no_antialias_up; its F and D lie beside them, or nothing does."""
    save_images(bench.folder / "pairs", ("testA", "testB"), num=2, size=32)
    up: Upsample = "deconv" if "_up" in words else "blur"
    torch.manual_seed(0)
    net = create_generator(
        GeneratorArchitecture("resnet_9blocks", 3, 3, 4, upsample=up, antialias=True), gain=0.3
    ).eval()
    (bench.run_dir("cut")).mkdir(parents=True)
    torch.save(net.state_dict(), bench.run_dir("cut") / "latest_net_G.pth")
    dataroot = "pairs/testA" if "test" in words else "pairs"
    options = f"--name cut --dataroot {dataroot} --device cpu --load_size 32 --crop_size 32"
    folder, _ = shown(bench, f"{words} {options}")
    (kind,) = (k for k in ("fake", "fake_B") if (folder / "images" / k).exists())
    image = np.asarray(Image.open(folder / "images" / kind / "0.png"), np.float32) / 127.5 - 1
    given = np.asarray(Image.open(bench.folder / "pairs" / "testA" / "0.png"), np.float32) / 127.5 - 1
    with torch.no_grad():
        wanted = net(torch.from_numpy(given).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    assert abs(image - wanted.numpy()).max() < 1.5 / 127.5


def test_fastcut_is_a_set_of_defaults(home):
    record = (home.run_dir("cut") / "options.yaml").read_text()
    assert "lambda_NCE: 10.0" in record and "flip_equivariance: true" in record
    assert "nce_idt: true" in record  # as the command line says


def test_a_run_may_begin_from_weights_alone(home):
    folder = home.run_dir("weights")
    folder.mkdir()
    source = home.run_dir("pix2pix") / "latest_net_G.pth"
    (folder / source.name).write_bytes(source.read_bytes())
    train(home, "pix2pix", "begun", "--init_from weights --lr 1e-12")
    ours, theirs = (torch.load(f / "latest_net_G.pth", weights_only=True) for f in (home.run_dir("begun"), folder))
    key = "model.model.0.weight"
    torch.testing.assert_close(ours[key], theirs[key], rtol=0, atol=1e-6)


# Bad input


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        (
            "--model test --name pix2pix --netG resnet_9blocks",
            2,
            "--netG resnet_9blocks: run 'pix2pix' was trained with unet_32",
        ),
        ("--name pix2pix --ngf 3", 2, "--ngf 3: run 'pix2pix' was trained with 2"),
        ("--name pix2pix --model cycle_gan", 2, "run 'pix2pix' is of --model pix2pix"),
        ("--name pix2pix --direction BtoB", 2, "--direction: 'BtoB' is not a choice; did you mean"),
        ("--name pix2pix --direction BtoA", 1, "--direction is not that of the training"),
        ("--name colorization --model test", 1, "--model test: what colorization turns L into is ab"),
        ("--name pix2pix --tile 8", 1, "--tile 8 is smaller than the 158 x 158 pixels"),
        (
            "--name cycle_gan --model test --tile 66",
            1,
            "--tile 66 is not a multiple of 4, as the network needs: the nearest is 68",
        ),
        ("--name cycle_gan --model test --model_suffix _C", 1, "there is no latest_net_G_C.pth"),
        ("--name pix2pix --load_iter 7", 1, "there is no iter_7_net_G.pth in checkpoints/pix2pix"),
        ("--name pix2pix --dataroot pairs/testA", 1, "pairs/testA"),
        ("--name pix2pix --suffix {netg}", 2, "no run 'pix2pix_{netg}' in checkpoints/"),
        ("--name pix2pix --input_nc 1", 2, "--input_nc 1: run 'pix2pix' was trained with 3"),
    ],
)
def test_mistakes_of_testing(home, options, status, complaint):
    assert complaint in refused(home.test(options), status)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ([torch.zeros(2)], "does not hold a network: a state dict of tensors is expected"),
        ({"weight": torch.zeros(2)}, "weights of no generator known here"),
    ],
)
def test_files_that_hold_no_generator_are_named(home, content, complaint):
    home.run_dir("junk").mkdir(exist_ok=True)
    torch.save(content, home.run_dir("junk") / "latest_net_G.pth")
    line = refused(home.test("--name junk --dataroot pairs"), 1)
    assert complaint in line and line.count("checkpoints/junk/latest_net_G.pth") == 1


def test_weights_alone_cannot_be_gone_on_with(home):
    home.run_dir("alone").mkdir()
    (home.run_dir("alone") / "latest_net_G.pth").touch()
    line = refused(home.train("--continue_train --name alone"), 2)
    assert "checkpoints/alone holds only weights" in line
    assert "--init_from alone --name NEW" in line and "--epoch_count N" in line


def test_a_run_from_weights_may_begin_with_a_later_epoch(home):
    """What --continue_train --epoch_count was for: the schedule goes on, the epochs before are not trained again."""
    epochs = "--n_epochs 2 --n_epochs_decay 2"
    assert train(home, "pix2pix", "later", f"--init_from pix2pix --epoch_count 4 {epochs}").out.count("epoch 4/4") == 1
    rows = (home.run_dir("later") / "losses.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == {"4"}
    first = train(home, "pix2pix", "first", f"--epoch_count 4 {epochs}")
    assert "--epoch_count has no effect: only --init_from uses it" in first.err
    again = home.train("--name later --continue_train --epoch_count 5 --n_epochs 3")
    assert again.status == 0 and "--continue_train knows the epoch" in again.err
    rows = (home.run_dir("later") / "losses.csv").read_text().splitlines()[1:]
    assert {row.split(",")[0] for row in rows} == {"4", "5"}
    line = refused(home.train(f"--model pix2pix --dataroot pairs --init_from pix2pix --epoch_count 9 {SMALL}"), 2)
    assert "--epoch_count 9 is past the 2 epochs" in line


def test_a_batch_larger_than_the_data_is_lowered(home):
    outcome = train(home, "pix2pix", "large", "--batch_size 64 --pool_size 0")
    assert "warning: --batch_size 64 is more than the 6 images there are: it is 6" in outcome.err
    assert "batch_size: 6" in (home.run_dir("large") / "options.yaml").read_text()


@pytest.mark.parametrize(
    ("options", "status", "complaint"),
    [
        ("--model test", 2, "--model test only shows a trained model: python test.py --model test"),
        ("--model pix2pix --crop_size 300", 2, "--load_size 36 is smaller than --crop_size 300"),
        ("--model pix2pix --netG unet_33", 1, "no generator 'unet_33'"),
        ("--model pix2pix --gan_mode wgangp", 1, "batch norm in D mixes them"),
        ("--model pix2pix --gan_mode wgan-gp", 2, "--gan_mode: 'wgan-gp' is not a choice; did you mean 'wgangp'?"),
        ("--model cycle_gan --lambda_A -1", 2, "--lambda_A: -1.0 is too small: at least 0"),
        ("--model cycle_gan --pool_size 3 --batch_size 4", 1, "--pool_size 3 is less than --batch_size 4"),
        (
            "--model pix2pix --crop_size 16 --load_size 16",
            1,
            "--netD basic takes images of 24 pixels or more, not 16 x 16",
        ),
        ("--model pix2pix --init_from cycle_gan", 1, "there is no latest_net_G.pth"),
        (
            "--model cycle_gan --init_from cycle_gan --ngf 3 --pool_size 0",
            1,
            "it was made with --netG resnet_1blocks --ngf 2 (asked for: --netG unet_32 --ngf 3)",
        ),
        ("--model pix2pix --suffix {netg}", 2, "--suffix {netg}: 'netg' is no option of this run"),
        ("--model pix2pix --suffix a/b", 2, "'bad_a/b' cannot name a folder"),
        ("--model pix2pix --n_layers_D 0", 2, "--n_layers_D: 0 is too small: at least 1"),
        ("--model pix2pix --direction BtoB", 2, "--direction: 'BtoB' is not a choice"),
    ],
)
def test_mistakes_of_training(home, options, status, complaint):
    outcome = home.train(
        f"--dataroot pairs --name bad --netG unet_32 --crop_size 32 --load_size 36 --device cpu {options}"
    )
    assert complaint in refused(outcome, status)
    assert not (home.run_dir("bad")).exists()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ("--name pix2pix --labels 1", "--labels"),
        ("--name pix2pix --nearest 2 --interpolate 3", "--interpolate"),
    ],
)
def test_options_of_other_models_are_said_to_have_no_effect(home, options, word):
    outcome = home.test(options)
    assert outcome.status == 0
    assert f"warning: {word} has no effect: pix2pix does not use it" in outcome.err


def test_a_mistyped_loss_to_watch_is_refused_before_the_first_epoch_ends(home):
    options = f"--model pix2pix --dataroot pairs --name watch {MODELS['pix2pix']} {SMALL} --lr_policy plateau"
    line = refused(home.train(f"{options} --plateau_loss G_l1"), 1)
    assert "--plateau_loss G_l1: this model logs D_real, D_fake, G_GAN, G_L1" in line
    assert len((home.run_dir("watch") / "losses.csv").read_text().splitlines()) == 2
    outcome = home.train(f"{options} --overwrite --n_layers_D 2 --netD pixel --lambda_gp 5")
    assert outcome.status == 0
    warned = [line.split()[1] for line in outcome.err.splitlines()]
    assert warned == ["--lambda_gp", "--n_layers_D"]
