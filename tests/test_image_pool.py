"""The history of generated images: what comes back, how often, and what it asks of the device."""

from collections import Counter

import pytest
import torch
from torch.testing import assert_close

from models.losses.image_pool import ImagePool
from tests.test_step_operations import NoSync, Recorder

BATCHES = [(50, 1), (6, 3), (10, 3), (4, 4), (3, 2), (1, 1)]  # sizes of history and batch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def numbered(first, num, shape=(1, 2, 2)):
    """Return images that hold their own number, from ``first`` on."""
    return torch.arange(first, first + num).float()[:, None, None, None].expand(num, *shape).clone()


def numbers(images):
    assert (images == images[:, :1, :1, :1]).all(), "an image was torn"
    return images[:, 0, 0, 0].int().tolist()


def queries(pool, num, batch_size, first=1):
    """Yield what goes in and what comes out, as numbers; no number goes in twice."""
    for start in range(first, first + num * batch_size, batch_size):
        given = numbered(start, batch_size, pool.images.shape[1:])
        yield numbers(given), numbers(pool.query(given))


@pytest.mark.parametrize(("size", "batch_size"), BATCHES)
def test_while_it_fills_all_images_are_kept_and_passed_on(size, batch_size):
    pool = ImagePool(size, (3, 4, 5))
    for given, returned in queries(pool, size // batch_size, batch_size):
        assert returned == given
        assert pool.count.item() == given[-1]
    num = size // batch_size * batch_size
    assert numbers(pool.images) == [*range(1, num + 1), *[0] * (size - num)]


@pytest.mark.parametrize(("size", "batch_size"), BATCHES)
def test_every_image_comes_back_at_most_once_more_than_it_went_in(size, batch_size):
    pool = ImagePool(size, (1, 2, 2))
    stored: Counter[int] = Counter()
    for given, returned in queries(pool, 400, batch_size):
        before, stored = stored, Counter(n for n in numbers(pool.images) if n)
        for one, other in zip(given, returned, strict=True):
            assert other == one or before[other], "neither given nor kept"
            if other != one:  # they changed places
                assert stored[one] == 1
                assert stored[other] == 0
        assert len(set(returned)) == batch_size
        assert set(stored) <= set(before) | set(given)
        assert max(stored.values()) == 1
        assert len(stored) == min(size, given[-1]) == pool.count.item()


@pytest.mark.parametrize(("size", "batch_size"), [(10, 3), (50, 1), (4, 4)])
def test_half_of_the_images_are_older_ones_from_anywhere(size, batch_size):
    pool, num = ImagePool(size, (1, 1, 1)), 3000
    list(queries(pool, size // batch_size + 1, batch_size))
    swapped, places, slots = 0, Counter[int](), Counter[int]()
    for _ in range(num):
        kept = numbers(pool.images)
        (given, returned), *_ = queries(pool, 1, batch_size, first=1 + max(kept) + batch_size)
        for place, (one, other) in enumerate(zip(given, returned, strict=True)):
            if one != other:
                swapped += 1
                places[place] += 1
                slots[kept.index(other)] += 1
    trials = num * batch_size
    assert abs(swapped - trials / 2) < 4 * (trials / 4) ** 0.5  # four sigma
    assert len(places) == batch_size
    assert len(slots) == size
    for counter, cases in ((places, batch_size), (slots, size)):
        expected = swapped / cases
        assert all(abs(n - expected) < 5 * expected**0.5 for n in counter.values())


def test_a_batch_may_fill_the_last_slots_and_swap_the_rest():
    returned = Counter[int]()
    for _ in range(400):
        pool = ImagePool(4, (1, 2, 2))
        pool.query(numbered(1, 3))
        first, *rest = numbers(pool.query(numbered(4, 3)))
        assert first == 4
        assert numbers(pool.images)[3] == 4  # the last empty slot; the two other images met 1, 2, 3
        assert all(n in (5, 6) or n < 4 for n in rest)
        returned.update(rest)
    assert abs(returned[5] + returned[6] - 400) < 4 * 200**0.5
    assert all(abs(returned[n] - 400 / 3) < 60 for n in (1, 2, 3))


def test_the_whole_history_may_be_swapped_at_once():
    pool = ImagePool(3, (1, 2, 2))
    pool.query(numbered(1, 3))
    for first in range(4, 100, 3):
        before = set(numbers(pool.images))
        returned = numbers(pool.query(numbered(first, 3)))
        assert sorted([*returned, *numbers(pool.images)]) == sorted([*before, *range(first, first + 3)])


@pytest.mark.parametrize("num", [0, 2, 5, 40])
def test_a_restored_history_goes_on_bit_for_bit(num, tmp_path):
    pool = ImagePool(7, (2, 3, 4))
    for _ in range(num):
        pool.query(torch.rand(2, 2, 3, 4))
    torch.save(pool.state_dict(), tmp_path / "pool.pth")
    other = ImagePool(7, (2, 3, 4))
    other.load_state_dict(torch.load(tmp_path / "pool.pth", weights_only=True))
    assert set(pool.state_dict()) == {"images", "count"}
    batches = torch.rand(20, 2, 2, 3, 4)
    results = []
    for one in (pool, other):
        torch.manual_seed(1)
        results.append(torch.stack([one.query(batch) for batch in batches]))
    assert_close(results[0], results[1], rtol=0, atol=0)
    assert_close(dict(pool.state_dict()), dict(other.state_dict()), rtol=0, atol=0)


def test_the_state_is_in_buffers_alone():
    pool = ImagePool(5, (3, 2, 2))
    assert not list(pool.parameters())
    assert pool.images.shape == (5, 3, 2, 2)
    assert (pool.count.shape, pool.count.dtype) == ((), torch.int64)
    before = {key: value for key, value in vars(pool).items() if key != "_buffers"}
    before = {key: dict(value) if isinstance(value, dict) else value for key, value in before.items()}
    addresses = [buffer.data_ptr() for buffer in pool.buffers()]
    pool.query(torch.rand(3, 3, 2, 2))
    assert {key: value for key, value in vars(pool).items() if key != "_buffers"} == before
    assert [buffer.data_ptr() for buffer in pool.buffers()] == addresses  # as a captured graph needs it


@pytest.mark.parametrize(("size", "batch_size"), [*BATCHES, (0, 2)])
def test_queries_never_wait_and_are_all_alike(size, batch_size, monkeypatch):
    pool, recorded = ImagePool(size, (1, 2, 2)), []
    for _ in range(12):
        images = torch.rand(batch_size, 1, 2, 2)
        with NoSync.forbidden(monkeypatch), Recorder() as recorder:
            pool.query(images)
        recorded.append(recorder.operations)
    assert all(operations == recorded[0] for operations in recorded)


@pytest.mark.parametrize("size", [0, 2])
def test_gradients_are_cut_and_the_given_images_untouched(size):
    pool = ImagePool(size, (1, 2, 2))
    for _ in range(10):
        weight = torch.rand(2, 1, 2, 2, requires_grad=True)
        images = 2 * weight
        before = images.detach().clone()
        assert not pool.query(images).requires_grad
        assert not pool.images.requires_grad
        assert_close(images.detach(), before, rtol=0, atol=0)
        images.sum().backward()  # the graph is still whole
        assert weight.grad is not None


def test_changing_the_result_does_not_change_the_history():
    pool = ImagePool(2, (1, 1, 1))
    for first in range(1, 20, 2):
        returned = pool.query(numbered(first, 2, (1, 1, 1)))
        kept = pool.images.clone()
        returned.zero_()
        assert_close(pool.images, kept, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_images_of_other_types_keep_theirs(dtype):
    pool = ImagePool(2, (1, 1, 1))
    for first in range(1, 30):
        returned = pool.query(numbered(first, 1, (1, 1, 1)).to(dtype))
        assert returned.dtype == dtype
        assert 1 <= returned.item() <= first
    assert pool.images.dtype == torch.float32


def test_without_a_history_images_pass():
    pool, images = ImagePool(0, (3, 4, 4)), torch.rand(5, 3, 4, 4)
    assert_close(pool.query(images), images, rtol=0, atol=0)
    assert pool.images.numel() == 0
    before = torch.get_rng_state()
    pool.query(images)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_batch_larger_than_the_history_is_refused():
    with pytest.raises(
        ValueError, match=r"^--pool_size 3 is less than --batch_size 4: at least 4, or 0 for no history$"
    ):
        ImagePool(3, (1, 1, 1)).query(torch.rand(4, 1, 1, 1))
