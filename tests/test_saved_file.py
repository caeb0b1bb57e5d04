"""Files of torch.save: damage is found by their checksums, and none takes more memory than it is long."""

import pickle
import random
import struct
import tracemalloc
import zipfile

import pytest
import torch
from torch import nn

from util.weights import load_net, load_safely


def unreached(*_args, **_more):
    pytest.fail("PyTorch was given the file")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "latest_net_G.pth"


CONTENTS = {
    "a network": lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).state_dict(),
    "parameters": lambda: dict(nn.Linear(2, 3).named_parameters()),
    "views of one storage": lambda: dict(zip("ab", torch.arange(9.0).split(4), strict=False)),
    "an optimizer": lambda: torch.optim.Adam(
        nn.Linear(2, 2).parameters(), lr=torch.tensor(0.1), fused=True
    ).state_dict(),
    "plain values": lambda: {
        "a": [1, 2.5, None, True, "text", (1, b"bytes")],
        "size": torch.Size([1]),
        "type": torch.float32,
    },
    "numbers of every kind": lambda: {
        str(t): torch.zeros(3, dtype=t) for t in (torch.uint8, torch.bool, torch.float16, torch.bfloat16, torch.int64)
    },
    "nothing in a tensor": lambda: {"a": torch.empty(0)},
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("kind", CONTENTS)
def test_what_is_saved_is_loaded(path, kind, zipped):
    content = CONTENTS[kind]()
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert repr(load_safely(path)) == repr(torch.load(path, weights_only=True))


def test_every_flipped_bit_is_found(path):
    torch.manual_seed(0)
    weight = torch.randn(99)
    torch.save({"weight": weight, "step": 3}, path)
    whole, numbers, unchanged = path.read_bytes(), random.Random(0), 0
    for _ in range(150):
        damaged, place = bytearray(whole), numbers.randrange(len(whole))
        damaged[place] ^= 1 << numbers.randrange(8)
        path.write_bytes(damaged)
        try:
            state = load_safely(path)
        except ValueError as error:
            assert "latest_net_G.pth is damaged" in str(error)
        else:  # it was in the padding, or in what nobody reads
            assert torch.equal(state["weight"], weight)
            assert state["step"] == 3
            unchanged += 1
    assert unchanged < 100


def test_zeros_in_the_middle_are_found(path):
    torch.save({"weight": torch.randn(999)}, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:2000] + bytes(1000) + whole[3000:])
    with pytest.raises(ValueError, match=r"latest_net_G.pth is damaged .*checksum of .*data/0 is wrong"):
        load_net(path)


def rewritten(path, change, compression=zipfile.ZIP_STORED):
    """Write the file's records anew, with ``change(name, content)``, and with checksums that are right."""
    with zipfile.ZipFile(path) as archive:
        records = [(name, archive.read(name)) for name in archive.namelist()]
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records:
            archive.writestr(name, change(name, content))


def call(module, name, *arguments):
    """Return a pickle that calls a global with ``arguments``."""
    inner = pickle.dumps(arguments, protocol=2)[2:-1]
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + inner + b"R."


BIG = 3 * 2**30
BOMBS = {
    "a bytearray": call("__builtin__", "bytearray", BIG),
    "a tensor by its length": call("torch", "FloatTensor", BIG),
    "another": call("torch", "Tensor", BIG),
    "a storage by its length": call("torch.storage", "UntypedStorage", BIG),
    "a text that is not there": b"\x80\x02X" + struct.pack("<I", 2**31) + b"x.",
    "bytes that are not there": b"\x80\x05\x96" + struct.pack("<Q", BIG) + b"x.",
    "a place in the memo": b"\x80\x02Nr" + struct.pack("<I", 2**31) + b".",
}


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("bomb", BOMBS)
def test_a_pickle_takes_no_more_memory_than_it_is_long(path, bomb, zipped, monkeypatch):
    torch.save({"weight": torch.ones(3)}, path, _use_new_zipfile_serialization=zipped)
    if zipped:
        rewritten(path, lambda name, content: BOMBS[bomb] if name.endswith("data.pkl") else content)
    else:
        path.write_bytes(path.read_bytes()[:13] + BOMBS[bomb])
    if bomb != "a place in the memo":
        monkeypatch.setattr(torch, "load", unreached)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"latest_net_G.pth is damaged|does not hold a network"):
        load_net(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_compressed_records_are_refused(path, monkeypatch):
    torch.save({"text": "x" * 100_000}, path)
    rewritten(path, lambda _, content: content, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(torch, "load", unreached)
    with pytest.raises(ValueError, match="records are compressed"):
        load_safely(path)


def test_a_tensor_beyond_its_record_is_refused(path, monkeypatch):
    torch.save({"weight": torch.ones(99)}, path)
    rewritten(path, lambda name, content: content[:-4] if name.endswith("data/0") else content)
    monkeypatch.setattr(torch, "load", unreached)
    with pytest.raises(ValueError, match="longer than its record 0"):
        load_net(path)


def test_tensors_longer_than_an_old_file_are_refused(path, monkeypatch):
    torch.save({"weight": torch.ones(99)}, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-99])
    monkeypatch.setattr(torch, "load", unreached)
    with pytest.raises(ValueError, match="longer than the file"):
        load_net(path)
