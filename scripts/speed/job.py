"""The command line of the benchmark: which jobs are to be timed, each with the options that train.py would have.

Imports no torch before a model is named, so that a mistyped option answers at once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data import find_dataset, recognize
from data.files.dataroot import CARD, DATASETS
from models import find_model
from options.declare import flags, option
from options.layers import first_pass
from options.parse import Config, parse_train
from options.parser import Parser, reader_of
from options.train_options import TrainOptions
from util.config_file import shown
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
    "gpu": tuple(name for name in JOBS if name != "cgan_128_b32"),
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
    config: Config[TrainOptions]
    words: tuple[str, ...]  # the command line without the benchmark's own options

    @property
    def bench(self) -> BenchmarkOptions:
        options: BenchmarkOptions = self.config.own
        return options

    @property
    def has_data(self) -> bool:
        return bool(self.config.data.dataroot != NO_DATA)

    @property
    def is_end_to_end(self) -> bool:
        return self.bench.end_to_end or bool(self.bench.against)


def parse_jobs(description: str, argv: Sequence[str]) -> list[Job]:
    """Return the jobs that a command line asks for; exits with status 2 and one line when something is wrong."""
    own = reader_of(BenchmarkOptions)
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
    words = [*JOBS.get(name, "").split(), *argv]
    find: Callable[[str, str], tuple[str, Path]] = recognize
    if not (dataroot := first_pass(Parser(""), words).get("dataroot")):
        words += ["--dataroot", NO_DATA]
        find = lambda *_: ("image_folder", DATASETS / NO_DATA / CARD)  # noqa: E731
    or_else = "; or --job NAME, or --suite"
    config = parse_train(description, words, find_model, find_dataset, find, BenchmarkOptions, or_else)
    bench, data = config.own, config.data
    try:
        if config.run.continue_train:
            raise ValueError("--continue_train: the benchmark begins runs of its own")
        if (bench.end_to_end or bench.against) and not dataroot:
            raise ValueError("--end_to_end and --against train on data: name it by --dataroot")
        if bench.against and not (Path(bench.against) / "train.py").is_file():
            raise ValueError(f"--against {bench.against}: no train.py there")
    except ValueError as error:
        Parser("").error(str(error))
    if not dataroot and "crop_size" in config.given and "load_size" not in config.given:  # nothing is cropped
        config = replace(config, data=replace(data, load_size=data.crop_size))
    for_train = reader_of(BenchmarkOptions).parse_known_args(words)[1]
    return Job(_describe(name, config, argv), config, tuple(for_train))


def _describe(name: str, config: Config[TrainOptions], argv: Sequence[str]) -> str:
    """Return what a job is called: its name in JOBS, or model, size and batch, and what was asked for beside that."""
    told = {flag.name for flag in flags(BenchmarkOptions)} | set(OF_NO_JOB)
    if not name:
        told |= {"model", "image_size", "crop_size", "load_size", "batch_size"}
        size = getattr(config.data, "image_size", 0) or config.data.crop_size
        name = f"{config.model_name}_{size}_b{config.run.batch_size}"
    given = reader_of(BenchmarkOptions, TrainOptions, type(config.model), type(config.data)).parse(argv)
    return " ".join([name, *(f"{option} {shown(value)}" for option, value in given.items() if option not in told)])
