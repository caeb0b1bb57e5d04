"""The command line of the benchmark: which jobs are to be timed, each with the options that train.py would have.

Imports no torch before a model is named, so that a mistyped option answers at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data import CARD, find_dataset, recognize
from models import find_model
from options.declare import flags, option
from options.parse import Config, first_pass, help_without_model, message_of, parse_train, print_help, suited
from options.parser import Parser, shown
from options.train_options import TrainOptions
from options.upstream import RETIRED_TRAIN
from util.registry import did_you_mean

NO_DATA = "random"  # what a run is named after that is timed on random numbers
OF_NO_JOB = ("dataroot", "device", "num_threads", "cache", "cache_dir", "n_epochs", "verbose")  # where, and how long
MNIST_MLP = "--model cgan --netG mlp --netD mlp --batch_size 100 --beta1 .9 --fake_labels random"

# The tutorials' scripts draw and save every epoch (S2) or every tenth (S0); a run that is timed includes one such.
JOBS = {
    "cyclegan_256_b1": "--model cycle_gan --batch_size 1",
    "cyclegan_256_b4": "--model cycle_gan --batch_size 4",
    "cyclegan_256_b16": "--model cycle_gan --batch_size 16",
    "pix2pix_256_b1": "--model pix2pix --batch_size 1",
    "pix2pix_256_b16": "--model pix2pix --batch_size 16",
    "cgan_128_b128": "--model cgan --image_size 128 --batch_size 128",
    "cgan_128_b32": "--model cgan --image_size 128 --batch_size 32",
    "mnist_cgan_mlp": f"{MNIST_MLP} --end_to_end --dataroot mnist --save_epoch_freq 1 --n_epochs 3",
    "rps_cgan_128": "--model cgan --end_to_end --dataroot rps --image_size 128 --save_latest_freq 25000",
}
SUITES = {
    "cpu": ("cgan_128_b32", "mnist_cgan_mlp"),
    "gpu": (
        "cyclegan_256_b1",
        "cyclegan_256_b4",
        "cyclegan_256_b16",
        "pix2pix_256_b1",
        "pix2pix_256_b16",
        "cgan_128_b128",
        "mnist_cgan_mlp",
        "rps_cgan_128",
    ),
}


def job_name(text: str) -> str:
    """Read ``--job``; raise ValueError when there is none of this name."""
    if text not in JOBS:
        raise ValueError(f"{text!r} is no job{did_you_mean(text, JOBS)}")
    return text


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions:
    job: str = option("", help=f"a set of options by name: {', '.join(JOBS)}", read=job_name)
    suite: bool = option(False, help="time several jobs, those for a GPU or those for a CPU, a row each")
    steps: int = option(10, help="steps of a round", min=1)
    rounds: int = option(0, help="rounds of each side, in turn, of which the median counts; 0: 5, end to end 3", min=0)
    warmup: int = option(5, help="steps before the first round, at least one of each kind that the model has", min=1)
    end_to_end: bool = option(False, help="time whole runs of train.py: loading, drawing and saving too")
    against: str = option("", help="time the train.py of the checkout in this folder instead of the reference")
    workers: int = option(
        -1,
        help="of the reference's DataLoader; -1: of image files 6 or as many as there are cores, of idx files 0",
        min=-1,
    )
    num_classes: int = option(0, help="classes of the random data; 0: 3, of idx data 10", min=0)
    out: str = option("", help="CSV file to which a row is appended for each job as it ends")
    plot: str = option("", help="SVG file of the ratios; empty: beside --out, else results/speed.svg")


@dataclass(frozen=True)
class Job:
    """One comparison, and everything that train.py would read from such a command line."""

    name: str
    bench: BenchmarkOptions
    config: Config[TrainOptions]
    words: tuple[str, ...]  # the command line without the benchmark's own options
    given: frozenset[str]  # the options that it names

    @property
    def has_data(self) -> bool:
        return bool(self.config.data.dataroot != NO_DATA)

    @property
    def is_end_to_end(self) -> bool:
        return self.bench.end_to_end or bool(self.bench.against)

    @property
    def n_critic(self) -> int:
        return int(getattr(self.config.model, "n_critic", 1))


def parse_jobs(description: str, argv: Sequence[str]) -> list[Job]:
    """Return the jobs that a command line asks for; exits with status 2 and one line when something is wrong."""
    own = Parser(description)
    own.add("benchmark", BenchmarkOptions, {})
    bench = own.parse_known_args(argv)[0]
    if not bench.suite:
        return [parse_job(description, bench.job or "", argv)]
    if bench.job or "model" in first_pass(own, argv):
        own.error("--suite has jobs and models of its own: leave --job and --model out")
    from util.device import pick_device  # with torch, which a mistyped option need not wait for

    try:
        device = pick_device(parse_job(description, SUITES["cpu"][0], argv).config.run.device)
    except ValueError as error:
        own.error(str(error))
    return [parse_job(description, name, argv) for name in SUITES["cpu" if device.type == "cpu" else "gpu"]]


def parse_job(description: str, name: str, argv: Sequence[str]) -> Job:
    """Return one job; ``name`` is one of JOBS, whose options ``argv`` may change, or "" when ``argv`` says it all."""
    given_words, argv = argv, [*JOBS.get(name, "").split(), *argv]
    parser = Parser(description, RETIRED_TRAIN)
    parser.add("benchmark", BenchmarkOptions, {})
    asked = first_pass(parser, argv)
    if not (model := asked.get("model")):
        help_without_model(parser, argv, "; or --job NAME, or --suite")
    try:
        model_class, dataroot = find_model(model), asked.get("dataroot", "")
        found = (
            suited(recognize(dataroot, model_class.dataset_mode)[0], model_class.needs) if dataroot else "image_folder"
        )
        mode = asked.get("dataset_mode") or model_class.dataset_mode or found
        parser.add("training", TrainOptions, model_class.defaults)
        parser.add(f"--model {model}", model_class.Options, model_class.defaults)
        parser.add(f"--dataset_mode {mode}", find_dataset(mode).Options, model_class.defaults)
        print_help(parser, argv)
        given = parser.parse(argv)
        bench = BenchmarkOptions(**{f.name: given[f.name] for f in flags(BenchmarkOptions) if f.name in given})
        if given.get("continue_train"):
            raise ValueError("--continue_train: the benchmark begins runs of its own")
        if (bench.end_to_end or bench.against) and not dataroot:
            raise ValueError("--end_to_end and --against train on data: name it by --dataroot")
        if bench.against and not (Path(bench.against) / "train.py").is_file():
            raise FileNotFoundError(f"--against {bench.against}: no train.py there")
    except (LookupError, OSError, ValueError) as error:
        parser.error(message_of(error))
    words = _without_own(argv)
    if not dataroot:
        words += ["--dataroot", NO_DATA]
        if "crop_size" in given and "load_size" not in given:  # nothing is cropped
            words += ["--load_size", str(given["crop_size"])]
    find = recognize if dataroot else (lambda *_: (mode, Path(CARD)))
    config = parse_train(description, words, find_model, find_dataset, find)
    return Job(_describe(name, config, parser.parse(given_words)), bench, config, tuple(words), frozenset(given))


def _without_own(argv: Sequence[str]) -> list[str]:
    """Return the words that are for train.py."""
    parser = Parser("")
    parser.add("benchmark", BenchmarkOptions, {})
    return parser.parse_known_args(argv)[1]


def _describe(name: str, config: Config[TrainOptions], given: Mapping[str, Any]) -> str:
    """Return what a job is called: its name in JOBS, or model, size and batch, and what was asked for beside that."""
    told = {f.name for f in flags(BenchmarkOptions)} | set(OF_NO_JOB)
    if not name:
        told |= {"model", "image_size", "crop_size", "load_size", "batch_size"}
        size = getattr(config.data, "image_size", 0) or config.data.crop_size
        name = f"{config.model_name}_{size}_b{config.run.batch_size}"
    return " ".join([name, *(f"{option} {shown(value)}" for option, value in given.items() if option not in told)])
