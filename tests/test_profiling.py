"""Traces of training steps, and the table of where the time goes."""

import gzip
import json
import signal
from types import SimpleNamespace
from typing import Any

import torch

from tests.bench import SMALL, Bench
from tests.test_resume import interrupted
from util.profiling import describe


def test_a_run_traces_the_steps_that_it_is_asked_for(bench: Bench) -> None:
    outcome = bench.small("--name traced --n_epochs 3 --profile 2")
    folder = bench.run_dir("traced") / "profile"
    with gzip.open(folder / "trace.json.gz", "rt") as file:
        names = [event.get("name", "") for event in json.load(file)["traceEvents"]]
    assert names.count("step: update D") == names.count("step: update G") == 2  # annotated twice each on some versions
    assert "aten::addmm" in names
    table = (folder / "table.txt").read_text()
    assert table in outcome.out
    for part in ("aten::addmm", "update D", "update G", "wait for data", "on the CPU"):
        assert part in table


def test_tracing_changes_nothing_that_is_learnt(bench: Bench) -> None:
    bench.small("--name plain --n_epochs 3")
    bench.small("--name watched --n_epochs 3 --profile 4")
    for file in ("losses.csv", "latest_net_G.pth"):
        plain, watched = (bench.run_dir(name) / file for name in ("plain", "watched"))
        assert plain.read_bytes() == watched.read_bytes()


def test_a_run_too_short_to_be_traced_says_so_and_how_many_steps_it_can(bench: Bench) -> None:
    outcome = bench.train(f"--model cgan --dataroot hands --batch_size 2 {SMALL} --name short --n_epochs 1 --profile 4")
    assert outcome.status == 1
    assert outcome.err.endswith("--profile 4: this run has 5 steps before it: at most 3\n")
    bench.small("--name short --overwrite --n_epochs 1 --profile 3")


def event(key: str, own: float, total: float, count: int, **details: Any) -> Any:
    known = {"device_type": SimpleNamespace(name="CPU"), "is_user_annotation": False} | details
    return SimpleNamespace(
        key=key, self_cpu_time_total=own, cpu_time_total=total, self_device_time_total=own, count=count, **known
    )


def test_the_table_ranks_own_times_and_leaves_out_what_only_contains_others():
    events = [
        event("aten::small", 1000, 1000, 4),
        event("aten::large", 3000, 9000, 2),
        event("step: update D", 500, 8000, 2),
        event("ProfilerStep*", 100, 20000, 2),
    ]
    lines = describe(events, 2, torch.device("cpu")).splitlines()
    assert lines[1].split() == ["1.500", "75.0%", "1.0", "aten::large"]
    assert lines[2].split() == ["0.500", "25.0%", "2.0", "aten::small"]
    assert lines[3].split() == ["2.000", "100.0%", "all"]
    assert lines[5].split() == ["4.000", "update", "D"]


def test_on_a_gpu_the_kernels_count_and_not_once_more_the_operations_that_started_them():
    gpu = {"device_type": SimpleNamespace(name="CUDA")}
    events = [
        event("aten::mm", 1000, 1000, 2),
        event("gemm_kernel", 1000, 0, 2, **gpu),
        event("step: update D", 700, 8000, 2),
        event("step: update D", 900, 0, 2, is_user_annotation=True, **gpu),
    ]
    lines = describe(events, 2, torch.device("cuda")).splitlines()
    assert lines[1].split() == ["0.500", "100.0%", "1.0", "gemm_kernel"]
    assert lines[2].split() == ["0.500", "100.0%", "all"]
    assert [line.split() for line in lines[4:]] == [["4.000", "update", "D"]]


def test_a_run_that_ends_before_its_trace_says_so(bench: Bench) -> None:
    with interrupted(13, lambda: signal.raise_signal(signal.SIGTERM)):
        outcome = bench.train(
            f"--model cgan --dataroot hands --batch_size 2 {SMALL} --n_epochs 5 --profile 6 --name cut"
        )
    assert outcome.status == 128 + signal.SIGTERM
    assert "--profile 6: the run ended before the last of these steps, so there is no trace" in outcome.err
    assert not (bench.run_dir("cut") / "profile").exists()
