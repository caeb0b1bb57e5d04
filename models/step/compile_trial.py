"""Decide from the first steps of a run whether compiling its networks pays."""

import time
from typing import Literal

import torch
from tqdm import tqdm

COMPILING = 60.0  # seconds that compiling is expected to take; measured with two small networks on two CPU cores
SAVED = 0.2  # part of a step that compiling is expected to save at least
WINDOW = 60  # steps to time: whole turns for most --n_critic
SETTLING = 20  # steps before, in which nothing new was recorded


class CompileTrial:
    """Times some uncompiled steps, then, if compiling promises to pay, as many compiled ones."""

    def __init__(self, num_steps: int, device: torch.device) -> None:
        """Args: num_steps: of the whole run; device: is waited for before a time is taken."""
        self.num_steps, self.device = num_steps, device
        self.is_over, self.uncompiled = False, 0.0
        self.settled = 0  # steps in a row
        self.first, self.start = 0, 0.0  # of the steps that are being timed; 0: none are

    def __call__(self, step: int, is_settled: bool) -> Literal["compile", "leave", ""]:
        """Return what to do before ``step``; once ``is_over``, nothing more is to be asked.

        Args:
            step: number of the step, counted over the whole run.
            is_settled: whether steps need no more warm-up.
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
                f"--compile is off: it would save about {max(gain, 0):.0f} s in the steps that are left, and take "
                f"about {COMPILING:.0f} s (on: --compile on)"
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
