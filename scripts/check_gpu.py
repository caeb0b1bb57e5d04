"""Check what this machine's GPU computes, in twenty minutes, before you trust a new card, driver or torch release.

    python scripts/check_gpu.py                       all stages, in the order of risk
    python scripts/check_gpu.py recorded sizes        these stages only
    python scripts/check_gpu.py --out report.md       where the report goes; default results/check_gpu.md

Each stage prints ok or FAILED and its seconds; the others still run after a failure, and the status is then 1. Without
a GPU, the stages that can run on the processor do. Paste the report into an issue.

Stages: starts (train.py --device auto), random (replays draw the numbers of plain steps), recorded (every model, fp32
and bf16, recorded and checked), waits (a step that cannot be recorded), saves (written behind the steps), repeats (two
runs with --deterministic), compiled, sizes (milliseconds and memory of plain, bf16, recorded and compiled steps).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

if TYPE_CHECKING:
    import torch

    from models.step.plan import Speed
    from models.step.stepper import Stepper
    from util.types import Batch

# Does its checks and returns what is worth knowing, or yields lines of it as they come; raises if one fails.
Stage = Callable[["torch.device"], "str | Iterator[str]"]
STEPS = 24  # of a tiny model: enough for every variant to be recorded and replayed twice at n_critic 5
COMPILED = ("cgan conv", "pix2pix helped", "cycle_gan wgangp", "cvae_gan 32", "cgan mlp mismatch")
SIZES = (("cycle_gan", 256, 1), ("pix2pix", 256, 1), ("cgan", 128, 128))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stages and write the report; status 1 when one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stages", nargs="*", choices=[*STAGES, []], metavar="STAGE", help=f"one of {', '.join(STAGES)}")
    parser.add_argument("--out", type=Path, default=Path("results/check_gpu.md"), help="file for the report")
    args = parser.parse_args(argv)

    from util.console import one_line_errors

    with one_line_errors("check_gpu.py", False, OSError):
        args.out.parent.mkdir(parents=True, exist_ok=True)
        failed = check(args.stages or list(STAGES), args.out)
    sys.exit(1 if failed else 0)


def check(names: list[str], out: Path) -> list[str]:
    """Run the stages of these ``names``, write the report to ``out``, and return the names of those that failed."""
    from util.device import pick_device
    from util.files import write_text

    device = pick_device("auto")
    lines = [f"# Check of {describe(device)}", ""]
    print(lines[0].removeprefix("# "), flush=True)
    failed = []

    def tell(result: str) -> None:
        print(result, flush=True)
        lines.append(f"    {result}")
        write_text(out, "\n".join(lines) + "\n")

    for name in names:
        stage, needs_gpu = STAGES[name]
        start = time.perf_counter()
        if needs_gpu and device.type != "cuda":
            tell(f"skipped {name}: there is no GPU")
            continue
        try:
            found = stage(device)
            if not isinstance(found, str):
                for line in found:
                    tell(line)
                found = ""
            tell(f"ok      {name} ({time.perf_counter() - start:.0f} s)" + (f": {found}" if found else ""))
        except Exception as error:  # the stages that follow tell more
            failed.append(name)
            reason = " ".join(str(error).split())[:600]
            tell(f"FAILED  {name} ({time.perf_counter() - start:.0f} s): {type(error).__name__}: {reason}")
    print(f"report: {out.resolve()}")
    return failed


def describe(device: "torch.device") -> str:
    """Return the versions that matter."""
    import platform

    import torch

    gpu = "no GPU (stages that need one are skipped)"
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        gpu = f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}, CUDA {torch.version.cuda}"
    return f"{gpu}, torch {torch.__version__}, Python {platform.python_version()}, {platform.system()}"


def starts(device: "torch.device") -> str:
    """Train a tiny model by the defaults, as a user would."""
    with tempfile.TemporaryDirectory() as folder:
        said = train(folder, "starts", "--model", "cgan", "--n_epochs", "2", "--ema", ".99")
    if "switched off" in said or (device.type == "cuda" and "steps recorded as CUDA graphs" not in said):
        raise AssertionError(said[-600:])
    return next(line for line in said.splitlines() if line.startswith("new run")).partition(" on ")[2]


def random(device: "torch.device") -> str:
    """Compare random numbers of replays with those of plain calls, for several seeds."""
    import torch

    from util.seeding import seed_all

    ones = torch.ones(1000, device=device)

    def draw() -> "torch.Tensor":
        dropped = torch.nn.functional.dropout(ones)
        return torch.cat([torch.randn(1000, device=device), dropped, torch.rand(10, device=device)])

    stream, graph = torch.cuda.Stream(device), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        draw()
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        replayed = draw()
    for seed in (1, 2, 1):
        seed_all(seed)
        expected = draw()
        seed_all(seed)
        graph.replay()
        assert torch.equal(replayed, expected), f"seed {seed}: a replay draws other numbers than the plain call"
    return ""


def recorded(device: "torch.device") -> str:
    """Record and check every model in fp32 and bf16; on a processor, check bf16 alone."""
    import torch

    from models.step.plan import Speed
    from tests.tiny_models import LEARNERS

    on_gpu = device.type == "cuda"
    speeds = [Speed(torch.bfloat16, channels_last=True, recorded=on_gpu, checked=True)]
    speeds += [Speed(recorded=True, checked=True)] * on_gpu
    worst, wrong, missing = (0.0, "nothing"), list[str](), dict[str, str]()
    for case in LEARNERS:
        for speed in speeds:
            with noting(case, speed, wrong, missing):
                stepper, problems = tiny_run(case, speed, device)
                wrong += problems
                worst = max(worst, (worst_replay(stepper, case), f"{case} in {speed}"))
    assert not wrong, "; ".join(wrong)
    nearest = f"; nearest to an alarm: {worst[1]}, {worst[0]:.2f} of what is allowed" if on_gpu else ""
    skipped = f"; skipped {', '.join(missing)}: {next(iter(missing.values()))}" if missing else ""
    return f"{(len(LEARNERS) - len(missing)) * len(speeds)} runs{nearest}{skipped}"


def waits(device: "torch.device") -> str:
    """Let a step wait for the device, which cannot be recorded: training must go on without."""
    from models.step.plan import Speed
    from models.step.stepper import Stepper
    from tests.tiny_models import create

    model = create("cgan mlp").place(device)
    loss_G = model.loss_G

    def waiting(batch: "Batch") -> Any:
        terms = loss_G(batch)
        float(next(iter(terms.values())))
        return terms

    model.loss_G = waiting
    stepper = Stepper(model, Speed(recorded=True))
    take_steps(stepper, "cgan mlp", 9)
    assert stepper.recorder is None, "a step that waits for the device was recorded"
    return "the warning above belongs to it"


def saves(device: "torch.device") -> str:
    """Compare what is saved behind the steps with the weights at that moment."""
    import torch

    from models.step.plan import Speed
    from models.step.stepper import Stepper
    from tests.tiny_models import create
    from util.background import Background

    model = create("dcgan").place(device)
    stepper = Stepper(model, Speed(torch.bfloat16, channels_last=True, recorded=device.type == "cuda"))
    background, equal = Background(), []

    def compare_with(expected: list["torch.Tensor"]) -> Callable[[dict[str, "torch.Tensor"]], None]:
        def compare(saved: dict[str, "torch.Tensor"]) -> None:
            equal.append(all(torch.equal(a, b) for a, b in zip(saved.values(), expected, strict=True)))

        return compare

    for step in range(1, 60):
        take_steps(stepper, "dcgan", 1, first=step)
        if step % 7 == 0:
            state = model.state_dict()
            background(compare_with([value.to("cpu", copy=True) for value in state.values()]), state)
    background.wait()
    assert equal, "nothing was saved"
    assert all(equal), f"{equal.count(False)} of {len(equal)} saves differ from the weights"
    return f"{len(equal)} saves"


def repeats(device: "torch.device") -> str:
    """Train twice with --deterministic: the weights must be equal bit for bit."""
    import torch

    from util.weights import load_safely

    with tempfile.TemporaryDirectory() as folder:
        options = ("--model", "cgan", "--n_epochs", "2", "--deterministic", "--precision", "fp32")
        for name in ("first", "second"):
            train(folder, name, *options)
        first, second = (load_safely(Path(folder, name, "latest_net_G.pth")) for name in ("first", "second"))
    differ = [key for key in first if not torch.equal(first[key], second[key])]
    assert not differ, f"two runs differ in {', '.join(differ[:3])}"
    return ""


def compiled(device: "torch.device") -> str:
    """Compile, record and check five models."""
    import torch

    from models.step.plan import Speed

    on_gpu, wrong = device.type == "cuda", list[str]()
    for case in COMPILED:
        speed = Speed(torch.bfloat16, channels_last=True, compiled=True, recorded=on_gpu, checked=True)
        with noting(case, speed, wrong):
            wrong += tiny_run(case, speed, device)[1]
        torch.compiler.reset()
    assert not wrong, "; ".join(wrong)
    return f"{len(COMPILED)} models"


def sizes(device: "torch.device") -> Iterator[str]:
    """Time steps at real sizes, on random images; yield a line for each."""
    import gc

    import torch

    from models import create_model, find_model
    from models.step.plan import Speed
    from models.step.stepper import Stepper
    from util.types import Batch, DataSpec

    yield f"{'model':10} {'px':>4} {'batch':>5} {'ms':>7} {'GiB':>6} {'reserved':>8}  steps"
    for name, size, batch_size in SIZES:
        for speed in (
            Speed(),
            Speed(torch.bfloat16, channels_last=True),
            Speed(torch.bfloat16, channels_last=True, recorded=True),
            Speed(torch.bfloat16, channels_last=True, compiled=True, recorded=True),
        ):
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(device)
            spec = DataSpec((size, size), 3, 3, ("a", "b", "c"))
            stepper = Stepper(
                create_model(name, find_model(name).Options(), spec, device, batch_size=batch_size), speed
            )
            images = {k: torch.rand(batch_size, 3, size, size, device=device) * 2 - 1 for k in ("image", "A", "B")}
            batch = Batch(images | {"label": torch.zeros(batch_size, dtype=torch.long, device=device)})
            for step in range(1, 41):
                if step == 21:
                    torch.cuda.synchronize(device)
                    start = time.perf_counter()
                stepper(Batch(batch), step)
            torch.cuda.synchronize(device)
            ms = (time.perf_counter() - start) / 20 * 1e3
            taken = torch.cuda.max_memory_allocated(device) / 2**30, torch.cuda.max_memory_reserved(device) / 2**30
            yield f"{name:10} {size:4} {batch_size:5} {ms:7.1f} {taken[0]:6.2f} {taken[1]:8.2f}  {stepper.speed}"
            del stepper
            gc.collect()
            torch.compiler.reset()


def train(folder: str, name: str, *options: str) -> str:
    """Run train.py on the embedded hands in a process of its own; return all that it said."""
    usual = ("--dataroot", "rps_mini", "--image_size", "32", "--batch_size", "16", "--display", "none")
    command = [sys.executable, "train.py", *usual, "--checkpoints_dir", folder, "--name", name, *options]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"train.py ended with status {done.returncode}: {done.stderr[-500:]}")
    return done.stdout + done.stderr


@contextmanager
def noting(case: str, speed: "Speed", wrong: list[str], missing: dict[str, str] | None = None) -> Iterator[None]:
    """Add to ``wrong`` what the block raises, so that other models are tried too.

    Args:
        missing: gets, by cases, which optional package or weights a model asked for; None: that is wrong as well.
    """
    try:
        yield
    except Exception as error:
        if missing is not None and type(error) is LookupError:  # no KeyError or IndexError
            missing[case] = str(error)
        else:
            wrong.append(f"{case} in {speed}: {type(error).__name__}: {error}")


def tiny_run(case: str, speed: "Speed", device: "torch.device") -> tuple["Stepper", list[str]]:
    """Train a tiny model with checks; return its Stepper, and what it had to give up."""
    from models.step.stepper import Stepper
    from tests.tiny_models import create
    from util.training.meter import LossMeter
    from util.training.moving_average import MovingAverage

    model = create(case).place(device)
    stepper = Stepper(model, speed, MovingAverage(model, model.averaged, 0.99), LossMeter())
    take_steps(stepper, case, STEPS)
    lost = [f"{case} in {speed}: {what} was given up" for what in lost_of(speed, stepper.speed)]
    return stepper, lost


def lost_of(asked: "Speed", got: "Speed") -> list[str]:
    """Return the parts of a Speed that are on in ``asked`` and not in ``got``."""
    lost = [field for field in ("compiled", "recorded") if getattr(asked, field) and not getattr(got, field)]
    return [*lost, *["low precision"] * (asked.dtype != got.dtype)]


def worst_replay(stepper: "Stepper", case: str) -> float:
    """Check a replay of every recording; return how much of what is allowed the worst one takes."""
    from functools import partial

    from models.step.selfcheck import EXACT

    if not stepper.recorder or not stepper.check:
        return 0.0
    ratios, done = [0.0], set()
    for step in range(STEPS + 1, 2 * STEPS):
        variant = stepper.model.variant(step)
        if variant in stepper.recorder.recordings and variant not in done:
            done.add(variant)
            batch = batch_of(case, step, stepper.model.device)
            plain, replay = (
                partial(stepper.recorder.plain, batch, step),
                partial(stepper.recorder, variant, batch, step),
            )
            ratios.append(stepper.check(plain, replay, EXACT[stepper.speed.dtype])[0].ratio)
    return max(ratios)


def take_steps(stepper: "Stepper", case: str, num: int, first: int = 1) -> None:
    from util.seeding import seed_all

    for step in range(first, first + num):
        seed_all(0, step)
        stepper(batch_of(case, step, stepper.model.device), step)


def batch_of(case: str, step: int, device: "torch.device") -> "Batch":
    from tests.tiny_models import make_batch
    from util.types import Batch

    return Batch({key: value.to(device) for key, value in make_batch(case, seed=step).items()})


STAGES: dict[str, tuple[Stage, bool]] = {  # in the order of risk; whether a GPU is needed
    "starts": (starts, False),
    "random": (random, True),
    "recorded": (recorded, False),
    "waits": (waits, True),
    "saves": (saves, False),
    "repeats": (repeats, False),
    "compiled": (compiled, False),
    "sizes": (sizes, True),
}

if __name__ == "__main__":
    main()
