"""Notes of when things happened in a process that is timed; imports nothing of ours, for it is any checkout's guest."""

import resource
import sys
import time
from pathlib import Path


class Stamps:
    """Appends to a file: a word and when it was said, or a word and a number."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, word: str, number: float | None = None) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"{word} {time.time() if number is None else number}\n")

    def read(self) -> dict[str, list[float]]:
        """Return all that was noted, word by word."""
        found: dict[str, list[float]] = {}
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        for line in text.splitlines():
            word, number = line.split()
            found.setdefault(word, []).append(float(number))
        return found


def peak_gib(device: str) -> float:
    """Return how much memory was in use at most, in GiB: by tensors on a GPU, elsewhere by this process."""
    import torch

    if torch.device(device).type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    status = Path("/proc/self/status")
    if status.exists():  # unlike ru_maxrss, VmHWM begins anew when a process starts another program
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
