"""Decide from a run's first steps whether compiling its networks pays off."""

import time
from typing import Literal

import torch
from tqdm import tqdm

COMPILING = 60.0  # expected seconds to compile; measured with two small networks on two CPU cores
SAVED = 0.2  # fraction of a step that compiling is expected to save, at least
WINDOW = 60  # steps to time: a multiple of most --n_critic
SETTLING = 20  # steps to wait first, without anything new being recorded


class CompileTrial:
    """Times a window of uncompiled steps and, if compiling looks worthwhile, a window of compiled ones."""

    def __init__(self, num_steps: int, device: torch.device) -> None:
        """Args: num_steps: length of the run; device: synchronized before each time is taken."""
        self.num_steps, self.device = num_steps, device
        self.is_over, self.uncompiled = False, 0.0
        self.settled = 0  # consecutive settled steps
        self.first, self.start = 0, 0.0  # step and time at which the window began; 0: none is open

    def __call__(self, step: int, is_settled: bool) -> Literal["compile", "leave", ""]:
        """Return what to do before ``step``; not to be called once ``is_over``.

        Args:
            step: step number, counted over the whole run.
            is_settled: whether the steps need no more warm-up.
        """
        self.settled = self.settled + 1 if is_settled else 0
        if self.settled <= SETTLING:
            return ""
        if not self.first:
            self.first, self.start = step, self._now()
            return ""
        if step - self.first < WINDOW:
            return ""
        seconds = (self._now() - self.start) / (step - self.first)
        self.first = self.settled = 0
        if not self.uncompiled:
            self.uncompiled = seconds
            gain = SAVED * seconds * (self.num_steps - step)
            if gain > COMPILING:
                return "compile"
            tqdm.write(
                f"--compile is off: it would save about {max(gain, 0):.0f} s over the remaining steps and take about "
                f"{COMPILING:.0f} s (on: --compile on)"
            )
            self.is_over = True
            return ""
        self.is_over = True
        tqdm.write(f"a step takes {seconds * 1e3:.1f} ms compiled, {self.uncompiled * 1e3:.1f} ms before")
        return "leave" if seconds > self.uncompiled else ""

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()
