"""The options table: who wins, what is refused in one line, and what options.yaml gives back."""

import dataclasses
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import yaml

from data import find_dataset, recognize
from models import find_model
from options import option
from options.declare import flags
from options.layers import OF_ONE_COMMAND
from options.parse import parse_train
from options.parse_tested import parse_test
from options.train_options import TrainOptions
from util.config_file import dump, plain, read_config
from util.registry import list_names

MODELS = [name for name in list_names("models", "_model") if find_model(name).trains]
DATASETS = list_names("data", "_dataset")
MINIMAL = "--model cgan --dataroot hands"


@pytest.fixture
def folder(bench, monkeypatch):
    """The working folder: with ``hands``, and no runs yet."""
    monkeypatch.chdir(bench.folder)
    return bench.folder


@pytest.fixture
def refused(folder, capsys):
    """Return the one line that train.py says of a command line, without the name of the script."""

    def call(options, *words):
        with pytest.raises(SystemExit) as stop:
            parse(options, *words)
        out, err = capsys.readouterr()
        assert stop.value.code == 2
        assert out == ""
        assert err.endswith("\n") and err.count("\n") == 1, err
        return err.split("error: ")[1].strip()

    return call


def parse(options, *words):
    return parse_train("", [*options.split(), *words], find_model, find_dataset, recognize)


def config_file(folder, text, name="my.yaml"):
    (folder / name).write_text(text)
    return f"--config {name}"


def save_run(config):
    """Write the options.yaml of a run as train.py does."""
    config.run.run_dir.mkdir(parents=True)
    (config.run.run_dir / "options.yaml").write_text(dump(config.sections()))


# --- one declaration


@dataclass(frozen=True, kw_only=True)
class Declared:
    number: int = option(1, help="h", min=1, max=9)
    rate: float = option(0.5, help="h", above=0)
    switch: bool = option(True, help="h")
    kind: Literal["grey", "colour"] = option("grey", help="h")
    widths: tuple[int, ...] = option((4, 8), help="h", min=2)
    shown: tuple[Literal["html", "none"], ...] = option(("html",), help="h")
    words: tuple[str, ...] = option((), help="h")
    place: Path = option(Path("p"), help="h")
    text: str = option("", help="h")


FLAGS = {flag.name: flag for flag in flags(Declared)}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("number", "9", 9),
        ("rate", "1e-4", 1e-4),
        ("rate", ".8", 0.8),
        ("kind", "colour", "colour"),
        ("widths", "4,4,8", (4, 4, 8)),
        ("widths", " 4 , 8 ", (4, 8)),
        ("widths", "", ()),
        ("shown", "none", ("none",)),
        ("words", "rock,two words", ("rock", "two words")),
        ("place", "a b/c", Path("a b/c")),
        ("text", "7", "7"),
    ],
)
def test_words_of_the_command_line_become_values(name, text, value):
    parsed = FLAGS[name].parse(text)
    assert parsed == value
    assert type(parsed) is type(value) or isinstance(parsed, Path)


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("number", "0", "0 is too small: at least 1"),
        ("number", "10", "10 is too large: at most 9"),
        ("number", "1.5", "'1.5' is not a whole number"),
        ("number", "", "'' is not a whole number"),
        ("rate", "0", "0.0 is too small: more than 0"),
        ("rate", "nan", "nan is not a finite number"),
        ("rate", "inf", "inf is not a finite number"),
        ("rate", "fast", "'fast' is not a number"),
        ("kind", "color", "'color' is not a choice; did you mean 'colour'? (known: grey, colour)"),
        ("kind", "", "'' is not a choice (known: grey, colour)"),
        ("widths", "4,1", "1 is too small: at least 2"),
        ("widths", "4;8", "'4;8' is not a whole number"),
        ("shown", "none,htlm", "'htlm' is not a choice; did you mean 'html'? (known: html, none)"),
    ],
)
def test_a_wrong_word_is_named_with_what_would_be_right(name, text, complaint):
    with pytest.raises(ValueError) as error:
        FLAGS[name].parse(text)
    assert str(error.value) == complaint


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("number", "9", 9),
        ("rate", "1e-4", 1e-4),  # a text in YAML 1.1
        ("rate", "1", 1.0),
        ("switch", "no", False),
        ("widths", "[4, 8]", (4, 8)),
        ("widths", "4", (4,)),
        ("widths", "4,8", (4, 8)),
        ("widths", "[]", ()),
        ("words", "[1, rock]", ("1", "rock")),
        ("text", "2024-01-01", "2024-01-01"),  # a date in YAML
        ("place", "a/b", Path("a/b")),
    ],
)
def test_values_of_a_yaml_file_are_converted(name, written, value):
    assert FLAGS[name].convert(yaml.safe_load(written)) == value


@pytest.mark.parametrize(
    ("name", "written", "complaint"),
    [
        ("number", "1.5", "'1.5' is not a whole number"),
        ("number", "true", "True is not a whole number"),
        ("number", "[1]", "[1] is not a whole number"),
        ("number", "0", "0 is too small: at least 1"),
        ("rate", "", "None is not a number"),
        ("switch", "1", "1 is not true or false"),
        ("switch", "'yes'", "'yes' is not true or false"),
        ("kind", "{a: 1}", "{'a': 1} is not a text"),
        ("widths", "[4, x]", "'x' is not a whole number"),
        ("text", "yes", "True is not a text"),
    ],
)
def test_a_wrong_value_in_a_yaml_file_is_named(name, written, complaint):
    with pytest.raises(ValueError) as error:
        FLAGS[name].convert(yaml.safe_load(written))
    assert str(error.value) == complaint


def test_a_subclass_changes_a_default_and_inherits_the_rest():
    @dataclass(frozen=True, kw_only=True)
    class Narrow(Declared):
        number: int = 3

    flag = {f.name: f for f in flags(Narrow)}["number"]
    assert flag.default == 3
    assert flag.rule == FLAGS["number"].rule


def test_help_says_what_kind_of_value_stands_behind_a_flag():
    words = {flag.name: flag.metavar for flag in flags(TrainOptions)}
    assert (words["n_epochs_decay"], words["early_stop"], words["ema"]) == ("N", "N", "X")
    assert (words["checkpoints_dir"], words["eval_phase"]) == ("DIR", "{val,test}")
    assert {flag.metavar for flag in flags(find_model("cgan").Options) if flag.name.startswith("hidden")} == {"N,N"}


def test_a_field_without_a_declaration_is_an_error():
    @dataclass(frozen=True, kw_only=True)
    class Bare:
        number: int = 3

    with pytest.raises(AssertionError, match="number needs option"):
        flags(Bare)


# --- who wins


LAYERS = [
    ("declaration", 1),
    ("model", 128),  # what the cgan wants
    ("card", 32),
    ("config", 8),
    ("command line", 4),
]


@pytest.mark.parametrize("upto", range(1, len(LAYERS)))
def test_the_nearer_to_the_user_the_stronger(folder, upto):
    assert find_model("cgan").defaults["batch_size"] == 128
    assert "batch_size" not in find_model("template").__dict__["Options"].__dataclass_fields__
    given = {name for name, _ in LAYERS[: upto + 1]}
    if "card" in given:
        (folder / "hands" / "card.yaml").write_text("batch_size: 32\n")
    config = config_file(folder, "batch_size: 8\n") if "config" in given else ""
    words = "--batch_size 4" if "command line" in given else ""
    assert parse(f"{MINIMAL} {config} {words}").run.batch_size == LAYERS[upto][1]


def test_a_card_speaks_of_data_options_too_and_the_defaults_shown_are_what_would_have_been(folder):
    (folder / "hands" / "card.yaml").write_text("image_size: 32\nflip: true\nlicence: CC0\n")
    config = parse(f"{MINIMAL} --no_flip")
    assert (config.data.image_size, config.data.flip) == (32, False)
    assert (config.defaults["image_size"], config.defaults["flip"]) == (32, True)


def test_a_card_for_another_reader_gives_what_this_one_knows(folder):
    (folder / "hands" / "card.yaml").write_text("image_size: 32\nval_fraction: 0.5\n")  # the template knows no fraction
    assert parse("--model template --dataroot hands").data.image_size == 32


def test_a_card_with_an_unknown_option_is_named(folder, refused):
    (folder / "hands" / "card.yaml").write_text("# size\nimage_sise: 32\n")
    line = refused(MINIMAL)
    assert line == "hands/card.yaml, line 2: there is no option image_sise; did you mean 'image_size'?"


def test_a_model_brings_its_data_set_class_and_the_user_may_choose_another(folder):
    assert parse(MINIMAL).dataset_mode == "image_folder"
    assert parse("--model template --dataroot hands").dataset_mode == "template"
    assert parse(f"{MINIMAL} --dataset_mode template").dataset_mode == "template"


def test_model_and_data_may_come_from_the_config(folder):
    config = parse(config_file(folder, "model: cgan\ndataroot: hands\ndataset_mode: template\nname: 7\n"))
    assert (config.model_name, config.data.dataroot, config.dataset_mode) == ("cgan", "hands", "template")
    assert config.run.name == "7"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "run: {}\n"])
def test_a_config_may_be_empty(folder, text):
    assert parse(f"{MINIMAL} {config_file(folder, text)}").run.batch_size == 128


def test_sections_group_options_and_records_are_not_read(folder):
    config = config_file(folder, "run: {batch_size: 8}\nmodel: {nz: 7}\nspec: {classes: [x]}\nabout: {torch: 1}\n")
    values = parse(f"{MINIMAL} {config}")
    assert (values.run.batch_size, values.model.nz) == (8, 7)


# --- the command line


@pytest.mark.parametrize(("word", "value"), [("--flip", True), ("--no_flip", False), ("", False)])
def test_a_switch_has_two_names(folder, word, value):
    assert parse(f"{MINIMAL} {word}").data.flip is value


def test_the_last_word_counts(folder):
    config = parse(f"{MINIMAL} --flip --no_flip --batch_size 2 --batch_size 3")
    assert (config.data.flip, config.run.batch_size) == (False, 3)


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--niter 3", "n_epochs", 3),
        ("--niter_decay 0", "n_epochs_decay", 0),
        ("--gpu_ids -1", "device", "cpu"),
        ("--gpu_ids 1", "device", "cuda:1"),
        ("--device cuda:1", "device", "cuda:1"),
    ],
)
def test_old_names_are_understood_on_the_command_line_and_in_a_file(folder, words, name, value):
    flag, number = words.split()
    assert getattr(parse(f"{MINIMAL} {words}").run, name) == value
    config = config_file(folder, f"{flag.removeprefix('--')}: {number}\n")
    assert getattr(parse(f"{MINIMAL} {config}").run, name) == value


def test_two_gpus_are_refused(refused):
    assert refused(f"{MINIMAL} --gpu_ids 0,1").startswith("--device/--gpu_ids: '0,1': one process uses one device")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--batch_size 0", "--batch_size: 0 is too small: at least 1"),
        ("--batch_size many", "--batch_size: 'many' is not a whole number"),
        ("--batch_size", "--batch_size needs a value"),
        ("--lr_policy lineer", "--lr_policy: 'lineer' is not a choice; did you mean 'linear'?"),
        ("--phase tset", "--phase: 'tset' is not a choice; did you mean 'test'?"),
        ("--hidden_G 8,0", "--hidden_G: 0 is too small"),
        ("--seed -1", "--seed: -1 is too small"),
        ("--ema 1.5", "--ema: 1.5 is too large: at most 0.9"),
        ("--n_epoch 3", "there is no option --n_epoch here; did you mean '--n_epochs'?"),
        ("--n_epoch=3", "there is no option --n_epoch here; did you mean '--n_epochs'?"),
        ("--no_flop", "there is no option --no_flop here; did you mean '--no_flip'?"),
        ("--Batch_Size 3", "there is no option --Batch_Size here; did you mean '--batch_size'?"),
        ("--qqqq", "there is no option --qqqq here; --help lists all"),
        ("--lambda_regression 1", "there is no option --lambda_regression here"),  # another model's
        ("stray", "stray follows no option that takes it"),
        ("--flip=1", "--flip: ignored explicit argument '1'"),
        ("--display htlm", "--display: 'htlm' is not a choice; did you mean 'html'?"),
        ("--dataset_mode image_foldr", "no file data/image_foldr_dataset.py; did you mean 'image_folder'?"),
        ("--config nowhere.yaml", "nowhere.yaml: No such file or directory"),
        ("--config hands", "hands: Is a directory"),
        ("--init_from nobody", "there is no run in checkpoints/"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_remedy(refused, words, complaint):
    assert complaint in refused(f"{MINIMAL} {words}")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("", "--model is required: one of cgan,"),
        ("--dataroot hands", "--model is required: one of cgan,"),
        ("--model cgan", "--dataroot is required"),
        ("--model", "--model needs a value"),
        ("--model cgan --dataroot", "--dataroot needs a value"),
        ("--model cgan --dataroot hands --name", "--name needs a value"),
        ("--model cgan --dataroot --name x", "--dataroot needs a value"),
        ("--model cgam --dataroot hands", "no file models/cgam_model.py; did you mean 'cgan'?"),
        ("--model cgan_model --dataroot hands", "no file models/cgan_model_model.py (known: cgan, "),
        ("--model base --dataroot hands", "no file models/base_model.py"),
        ("--model ../cgan --dataroot hands", "did you mean 'cgan'?"),
        ("--model cgan --dataroot ~/photos", "a shell replaces ~ at the beginning of a word"),
        ("--model cgan --dataroot https://example.com/a.zip", "download it, and give the folder or the archive"),
        ("--model cgan --dataroot hands my", "my follows no option that takes it: a value with spaces needs quotes"),
        ("--model cgan --dataroot ./nowhere", "--dataroot ./nowhere: neither a path nor a name in datasets/"),
        ("--model cgan --dataroot rps_mino", "did you mean 'rps_mini'?"),
    ],
)
def test_model_and_data_are_asked_for(refused, words, complaint):
    assert complaint in refused(words)


def test_a_folder_without_images_is_named(folder, refused):
    (folder / "empty").mkdir()
    assert refused("--model cgan --dataroot empty").startswith("--dataroot empty: no images in empty")


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", ".", "..", ".hidden", " a", "a ", "a\\b", "a:b", "a\nb", "-a", "?"]
)
@pytest.mark.parametrize("word", ["", "--continue_train"])
def test_a_name_that_is_no_name_of_a_folder_is_refused(folder, refused, name, word):
    save_run(parse(f"{MINIMAL} --name good"))
    assert refused(f"{MINIMAL} {word}", f"--name={name}")
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoints", "hands"]


def test_a_long_name_is_refused_in_a_short_line(refused):
    assert len(refused(MINIMAL, "--name", "x" * 5000)) < 200


@pytest.mark.parametrize("name", ["Hände 手", "it's", "a b", "50% & more; $HOME", "x.y-2", "x" * 200])
def test_other_names_are_fine(folder, name):
    assert parse(MINIMAL, "--name", name).run.run_dir == Path("checkpoints") / name


def test_runs_without_a_name_are_numbered(folder):
    for expected in ("hands_cgan", "hands_cgan-2", "hands_cgan-3"):
        config = parse(MINIMAL)
        assert config.run.name == expected
        save_run(config)
    assert parse("--model template --dataroot hands").run.name == "hands_template"


@pytest.mark.parametrize(
    ("where", "dataroot"), [("hands", "."), ("hands/paper", ".."), (".", "hands/"), (".", "x/../hands")]
)
def test_the_name_comes_from_the_folder_whatever_it_is_called(folder, monkeypatch, where, dataroot):
    (folder / "x").mkdir()
    monkeypatch.chdir(folder / where)
    assert parse(f"--model cgan --dataroot {dataroot}").run.name == "hands_cgan"


def test_a_folder_whose_name_cannot_name_a_run_asks_for_one(folder, refused):
    (folder / "hands").rename(folder / ".hands")
    assert "--name" in refused("--model cgan --dataroot .hands")
    assert parse("--model cgan --dataroot .hands --name good").run.name == "good"


# --- config files


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "batch_size: 8\nbatch_sice: 8\n",
            "my.yaml, line 2: there is no option batch_sice; did you mean 'batch_size'?",
        ),
        ("run:\n  batch_sice: 8\n", "my.yaml, line 2: there is no option batch_sice"),
        ("batch_size: 8\nbatch_size: 8\n", "my.yaml, line 2: batch_size is given twice"),
        ("batch_size: 8\nrun:\n  batch_size: 9\n", "my.yaml, line 3: batch_size is given twice"),
        ("# size\n\nbatch_size: big\n", "my.yaml, line 3: batch_size: 'big' is not a whole number"),
        ("batch_size: 0\n", "my.yaml, line 1: batch_size: 0 is too small: at least 1"),
        ("batch_size: [8]\n", "my.yaml, line 1: batch_size: [8] is not a whole number"),
        ("batch_size:\n", "my.yaml, line 1: batch_size: None is not a whole number"),
        ("flip: 1\n", "my.yaml, line 1: flip: 1 is not true or false"),
        ("netG: cnov\n", "my.yaml, line 1: netG: 'cnov' is not a choice; did you mean 'conv'?"),
        ("dataset_mode: 5\n", "no file data/5_dataset.py"),
        ("lr: 1\ndataset_mode: [a]\n", "my.yaml, line 2: dataset_mode: ['a'] is not a text"),
        ("dataroot: true\n", "my.yaml, line 1: dataroot: True is not a text"),
        ("lr: 1\nmodel:\n", "my.yaml, line 2: model: None is not a text"),
        ("name: a/b\n", "my.yaml, line 1: name: 'a/b' cannot name a folder"),
        ("overwrite: true\n", "my.yaml, line 1: overwrite"),
        ("continue_train: true\n", "my.yaml, line 1: continue_train"),
        ("1: 2\n", "my.yaml, line 1: there is no option 1"),
        ("- batch_size\n", "my.yaml must hold lines such as 'batch_size: 64'"),
        ("just text\n", "my.yaml must hold lines such as 'batch_size: 64', not 'just text'"),
        ("false\n", "my.yaml must hold lines such as 'batch_size: 64', not False"),
        ("[]\n", "my.yaml must hold lines such as 'batch_size: 64', not []"),
        ("batch_size: [8\nlr: 1\n", "my.yaml is not YAML: "),
        ("batch_size: 8\n\tlr: 1\n", "line 2"),
        ("a: 1\n---\nb: 2\n", "my.yaml is not YAML: "),
        ("lr: !!python/object/apply:os.system ['touch hacked']\n", "my.yaml is not YAML: "),
    ],
)
def test_a_mistake_in_a_config_is_named_with_file_and_line(folder, refused, text, complaint):
    assert complaint in refused(
        f"--dataroot hands {config_file(folder, text)}" + " --model cgan" * ("model:" not in text)
    )
    assert not (folder / "hacked").exists()


def test_bytes_that_are_no_text_are_named(folder, refused):
    (folder / "my.yaml").write_bytes(b"name: \xff\xfe")
    assert refused(f"{MINIMAL} --config my.yaml").startswith("my.yaml is not YAML: ")


@pytest.mark.parametrize(
    "words",
    [
        "",
        "--flip --ema .5 --batch_size 3",
        "--hidden_G 8,16 --hidden_D 4 --lr 3e-5 --norm_eps 1e-12 --device cuda:1 --cache off --display none",
        "--checkpoints_dir a/b --cache_dir c --overwrite --deterministic --plateau_loss G --seed 2147483647",
        "--dataset_mode template --niter 3 --niter_decay 4",
    ],
)
@pytest.mark.parametrize("name", ["", "null", "yes", "1e3", "0x10", "a #c", "[a, b]", "Hände 手", "'", "2024-01-01"])
def test_the_saved_options_are_a_config_that_gives_the_same_options(folder, words, name):
    first = parse(f"{MINIMAL} {words}", *(["--name", name] if name else []))
    (folder / "saved.yaml").write_text(dump(first.sections() | {"spec": {"classes": ("a",)}, "about": {"x": 1}}))
    second = parse("--config saved.yaml")
    once = {"config": first.run.config, "overwrite": first.run.overwrite}  # words to one process
    assert dataclasses.replace(second.run, **once) == first.run
    assert (second.model, second.data) == (first.model, first.data)
    assert (second.model_name, second.dataset_mode) == (first.model_name, first.dataset_mode)
    assert second.sections() == first.sections()


def test_the_order_of_options_in_the_file_is_that_of_their_declaration(folder):
    (folder / "saved.yaml").write_text(dump(parse(MINIMAL).sections()))
    assert list(read_config(folder / "saved.yaml"))[:2] == ["name", "checkpoints_dir"]


# --- going on with a run


@pytest.fixture
def run(folder):
    """A run called ``old``, as its options.yaml knows it."""
    config = parse(f"{MINIMAL} --name old --nz 4 --batch_size 2 --device cpu --no_flip")
    save_run(config)
    return config


def test_a_run_goes_on_with_its_own_options(run):
    config = parse("--name old --continue_train")
    assert dataclasses.replace(config.run, continue_train=False) == run.run
    assert (config.model, config.data) == (run.model, run.data)


@pytest.mark.parametrize(
    ("words", "before", "now"),
    [
        ("--nz 5", "4", "5"),
        ("--batch_size 3", "2", "3"),
        ("--lr 1", "0.0002", "1.0"),
        ("--flip", "off", "on"),
        ("--hidden_G 8", "128,256,512,1024", "8"),
        ("--seed 1", "0", "1"),
        ("--ema .9", "0.0", "0.9"),
        ("--model template", "cgan", "template"),
        ("--dataset_mode template", "image_folder", "template"),
        ("--init_from other", "none", "other"),
    ],
)
@pytest.mark.parametrize("source", ["command line", "config"])
def test_what_would_make_it_another_run_is_refused_with_both_values(folder, run, refused, words, before, now, source):
    name, *value = words.removeprefix("--").split()
    if source == "config":
        words = config_file(folder, f"{name}: {value[0] if value else 'true'}\n")
    line = refused(f"--name old --continue_train {words}")
    assert line.startswith(f"--{name} {now}: run 'old' was started with {before}; ")
    assert "--init_from old --name NEW" in line


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--n_epochs 7", "n_epochs", 7),
        ("--n_epochs_decay 7", "n_epochs_decay", 7),
        ("--print_freq 7", "print_freq", 7),
        ("--display_freq 7", "display_freq", 7),
        ("--save_latest_freq 7", "save_latest_freq", 7),
        ("--save_epoch_freq 7", "save_epoch_freq", 7),
        ("--num_threads 7", "num_threads", 7),
        ("--cache disk", "cache", "disk"),
        ("--display none", "display", ("none",)),
        ("--verbose", "verbose", True),
    ],
)
def test_epochs_frequencies_and_speed_may_change(run, capsys, words, name, value):
    assert getattr(parse(f"--name old --continue_train {words}").run, name) == value
    assert capsys.readouterr().err == ""


def test_another_device_is_taken_with_a_warning(run, capsys):
    assert parse("--name old --continue_train --device cuda").run.device == "cuda"
    err = capsys.readouterr().err
    assert err.startswith("warning: --device cuda: run 'old' was started with cpu; ") and err.count("\n") == 1


def test_the_same_value_again_is_no_change(run, capsys):
    parse("--name old --continue_train --nz 4 --model cgan --device cpu --gpu_ids -1")
    assert capsys.readouterr().err == ""


def test_a_run_that_was_moved_goes_on_where_it_is(folder, run):
    Path("checkpoints").rename("moved")
    Path("moved/old").rename("moved/new")
    config = parse("--name new --continue_train --checkpoints_dir moved")
    assert config.run.run_dir == Path("moved/new")
    Path("moved").rename("checkpoints")
    assert parse("--name new --continue_train").run.run_dir == Path("checkpoints/new")
    Path("checkpoints").rename("other")
    save_run(parse("--model cgan --dataroot hands --name far --checkpoints_dir elsewhere"))
    Path("elsewhere").rename("checkpoints")
    assert parse("--name far --continue_train").run.run_dir == Path("checkpoints/far")


def test_without_a_name_the_newest_run_that_fits_goes_on(folder, run, refused):
    save_run(parse("--model template --dataroot hands --name later"))
    os.utime("checkpoints/old/options.yaml", (1, 1))
    assert parse("--continue_train").run.name == "later"
    assert parse("--continue_train --model cgan").run.name == "old"
    assert parse("--continue_train --dataroot hands").run.name == "later"
    line = refused("--continue_train --model cgan --dataroot rps_mini")
    assert line == "--continue_train: no run in checkpoints/ was started with --model cgan --dataroot rps_mini"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--continue_train --name odl", "no run 'odl' in checkpoints/; did you mean 'old'? (known: old)"),
        ("--continue_train --name old --checkpoints_dir none", "there is no run in none/"),
        ("--continue_train --name old --overwrite", "--overwrite"),
        ("--continue_train --name ../checkpoints/old", "no run '../checkpoints/old'"),
        ("--continue_train --name ./old", "'./old' cannot name a folder"),
    ],
)
def test_a_run_that_cannot_go_on_is_refused(run, refused, words, complaint):
    assert complaint in refused(words)


def test_a_damaged_record_of_a_run_is_named(folder, run, refused):
    (folder / "checkpoints/old/options.yaml").write_text("run: {nz: [")
    assert refused("--name old --continue_train").startswith("checkpoints/old/options.yaml is not YAML")


# --- test.py


def look(options, *words):
    return parse_test("", [*options.split(), *words], find_model, find_dataset)


def test_testing_takes_model_and_data_from_the_run(folder, run):
    config = look("")
    assert (config.run.name, config.model, config.model_name) == ("old", run.model, "cgan")
    assert config.data == dataclasses.replace(run.data, phase="test")
    other = look("--name old --dataroot other --phase train --batch_size 3")
    assert (other.data.dataroot, other.data.phase, other.run.batch_size) == ("other", "train", 3)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--name odl", "no run 'odl' in checkpoints/; did you mean 'old'?"),
        ("--name ../old", "--name: '../old' cannot name a folder"),
        ("--checkpoints_dir none", "there is no run in none/; train one first"),
        ("--epoch lates", "--epoch: 'lates' is neither 'latest' nor 'best', nor the number"),
        ("--epoch ../latest", "--epoch: '../latest' is neither"),
        ("--num_test -1", "--num_test: -1 is too small: at least 0"),
        ("--nz 5", "--nz 5: run 'old' was trained with 4"),
        ("--model cgam", "no file models/cgam_model.py; did you mean 'cgan'?"),
        ("--model template", "--model template: run 'old' is of --model cgan; leave it out, or use --model test"),
        ("--label rock", "there is no option --label here; did you mean '--labels'?"),
    ],
)
def test_mistakes_of_testing_are_one_line_too(run, capsys, words, complaint):
    with pytest.raises(SystemExit) as stop:
        look(words)
    out, err = capsys.readouterr()
    assert (stop.value.code, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


@pytest.mark.parametrize("text", ["", "about: {x: 1}\n", "model: cgan\n"])
def test_a_folder_with_another_options_file_is_refused(folder, run, capsys, text):
    (folder / "checkpoints/old/options.yaml").write_text(text)
    with pytest.raises(SystemExit) as stop:
        look("--name old")
    assert stop.value.code == 2
    assert "it was not written by train.py" in capsys.readouterr().err


# --- every pair of classes


@pytest.mark.parametrize("dataset_mode", DATASETS)
@pytest.mark.parametrize("model", MODELS)
def test_every_model_and_data_set_class_build_a_parser(folder, capsys, model, dataset_mode):
    config = parse(f"--model {model} --dataroot hands --dataset_mode {dataset_mode}")
    names = [name for section in config.sections().values() for name in section]
    assert len(names) == len(set(names))
    assert set(find_model(model).defaults) <= set(names), "a default for an option that does not exist"
    with pytest.raises(SystemExit) as stop:
        parse(f"--model {model} --dataset_mode {dataset_mode} --help")
    assert stop.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{name} " in shown or f"--{name}\n" in shown or f"--{name}," in shown for name in names)


# --- without torch


@pytest.mark.parametrize(
    ("script", "words", "status"),
    [
        ("train", ["--help"], 0),
        ("train", [], 2),
        ("train", ["--model", "cgam", "--dataroot", "hands"], 2),
        ("train", ["--model", "cgam", "--help"], 2),
        ("train", ["--config", "nowhere.yaml"], 2),
        ("train", ["--config", "bad.yaml"], 2),
        ("train", ["--model"], 2),
        ("train", ["--continue_train", "--name", "nobody"], 2),
        ("test", ["--help"], 0),
        ("test", ["--name", "nobody"], 2),
        ("test", ["--n_test", "3"], 2),
    ],
)
def test_help_and_early_mistakes_do_not_wait_for_torch(script, words, status, tmp_path):
    (tmp_path / "bad.yaml").write_text("a: [\n")
    code = (
        f"import sys, {script}\n"
        f"try: {script}.main({words!r})\n"
        f"except SystemExit as stop: status = stop.code\n"
        f"print(status, 'torch' in sys.modules)"
    )
    repository = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(repository)}, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == f"{status} False", done.stderr
    assert done.stderr.count("\n") == (1 if status else 0)


@pytest.mark.parametrize("model", MODELS)
def test_the_record_of_a_run_holds_every_option_with_its_value(folder, model):
    root = "hands" if "image" in find_model(model).needs else "emoji_mini"
    config = parse(f"--model {model} --dataroot {root} --lr 0.5 --seed 7 --n_epochs 3 --max_dataset_size 5")
    not_recorded = set(OF_ONE_COMMAND)
    for section, record in config.sections().items():
        options = getattr(config, section)
        names = {f.name for f in dataclasses.fields(options)} - not_recorded
        assert record == {name: getattr(options, name) for name in names}
    record = {name: value for values in config.sections().values() for name, value in values.items()}
    assert (record["lr"], record["seed"], record["n_epochs"], record["max_dataset_size"]) == (0.5, 7, 3, 5)
    (folder / "record.yaml").write_text(dump(config.sections()))
    found = read_config(folder / "record.yaml")
    assert {name: entry.value for name, entry in found.items()} == {n: plain(value) for n, value in record.items()}
