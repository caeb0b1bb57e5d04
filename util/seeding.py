"""Random numbers as pure functions of (seed, epoch, step), so that there is no random state to save."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_MASK = 2**64 - 1


def mix(*key: int) -> int:
    """Return 64 well-mixed bits of ``key`` (splitmix64, Steele et al. 2014, one round per number)."""
    state = 0
    for number in key:
        state = (state ^ (number & _MASK)) + 0x9E3779B97F4A7C15 & _MASK
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ state >> 27) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


# What a random number is for, beside the seed: no two uses share their numbers.
ORDER, FLIP, PREVIEW, STEP, PICK, CROP, EVALUATION = (mix(use) for use in range(1, 8))


def draws(indices: np.ndarray, *key: int) -> np.ndarray:
    """Return a number in [0, 1) for each of ``indices`` (N,), a function of (key, index) alone."""
    state = np.asarray(indices, np.uint64) ^ np.uint64(mix(*key))
    with np.errstate(over="ignore"):
        state = state + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ state >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ state >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return ((state ^ state >> np.uint64(31)) >> np.uint64(11)).astype(np.float64) / 2**53


def generator(*key: int) -> torch.Generator:
    """Return a CPU generator whose numbers follow from ``key`` alone."""
    return torch.Generator().manual_seed(mix(*key) >> 1)


def seed_all(*key: int) -> None:
    """Seed torch's generators of all devices in use from ``key``, such as (seed, step)."""
    number = mix(*key) >> 1
    # Not torch.manual_seed: as long as no GPU is in use it notes the call stack for later, half a millisecond a step.
    torch.default_generator.manual_seed(number)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(number)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(number)


def random_state(device: torch.device) -> list[Tensor]:
    """Return the states of the default generators of the host and of ``device``."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def set_random_state(device: torch.device, states: list[Tensor]) -> None:
    """Set what ``random_state`` returned."""
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


@contextmanager
def forked(*key: int) -> Iterator[None]:
    """Run the block under a seed of its own; afterwards random numbers go on as if it had not been."""
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        seed_all(*key)
        yield
