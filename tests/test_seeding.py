"""Random numbers that follow from a key alone."""

import numpy as np
import pytest
import torch

from util.seeding import draws, forked, generator, mix, seed_all

MASK = 2**64 - 1


def splitmix64(state: int) -> int:
    """Return the first number of splitmix64 from ``state``, after the published C code."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_mix_is_splitmix64():
    assert mix(0) == 0xE220A8397B1DCDAF  # its well-known first number
    for number in (1, 2, 12345, 2**63, MASK):
        assert mix(number) == splitmix64(number)
    assert mix(3, 4) == splitmix64(splitmix64(3) ^ 4)


def test_mix_tells_keys_apart():
    keys = [(a, b) for a in range(50) for b in range(50)] + [(a,) for a in range(50)] + [(a, 0, 0) for a in range(50)]
    assert len({mix(*key) for key in keys}) == len(keys)
    assert mix(1, 2) != mix(2, 1)
    assert mix(-1) == mix(MASK)


def test_draws_are_those_of_one_index_at_a_time():
    indices = np.array([0, 1, 7, 59_999, 2**40])
    expected = [(splitmix64(i ^ mix(3, 1)) >> 11) / 2**53 for i in indices.tolist()]
    assert draws(indices, 3, 1).tolist() == expected
    assert draws(indices[::-1], 3, 1).tolist() == expected[::-1]
    assert draws(indices[:0], 3, 1).tolist() == []


def test_draws_are_uniform():
    for key in range(5):
        numbers = draws(np.arange(20_000), 0, key)
        assert 0 <= numbers.min() < 0.001
        assert 0.999 < numbers.max() < 1
        counts = np.histogram(numbers, 20, (0, 1))[0]
        chi_square = ((counts - 1000) ** 2 / 1000).sum()
        assert chi_square < 43.8  # passed by 99.9 % of uniform samples, 19 degrees of freedom


def test_draws_of_neighbours_and_of_neighbouring_keys_are_independent():
    first, second = draws(np.arange(20_000), 0, 1), draws(np.arange(20_000), 0, 2)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert abs(np.corrcoef(first[:-1], first[1:])[0, 1]) < 0.03


def test_a_generator_follows_from_its_key():
    first, again, other = (torch.rand(5, generator=generator(*key)) for key in [(1, 2), (1, 2), (2, 1)])
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_generator_leaves_the_global_one_alone():
    state = torch.get_rng_state()
    torch.rand(5, generator=generator(1))
    assert torch.equal(torch.get_rng_state(), state)


def test_seed_all_makes_what_follows_repeatable():
    numbers = []
    for key in [(1, 2), (1, 2), (1, 3)]:
        seed_all(*key)
        numbers.append(torch.rand(5))
    assert torch.equal(numbers[0], numbers[1])
    assert not torch.equal(numbers[0], numbers[2])


def test_forked_leaves_the_random_state_as_it_was():
    torch.manual_seed(0)
    expected = torch.rand(4)
    torch.manual_seed(0)
    first = torch.rand(2)
    with forked(7):
        inside = torch.rand(3)
        with forked(8):
            torch.rand(100)
        further = torch.rand(3)
    assert torch.equal(torch.cat([first, torch.rand(2)]), expected)
    seed_all(7)
    assert torch.equal(torch.cat([inside, further]), torch.rand(6))


def test_forked_restores_the_state_after_an_error_too():
    state = torch.get_rng_state()
    with pytest.raises(ArithmeticError), forked(7):
        torch.rand(3)
        raise ArithmeticError
    assert torch.equal(torch.get_rng_state(), state)
