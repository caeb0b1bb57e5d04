"""Check a file of torch.save before PyTorch reads it: its checksums, and that it takes no more memory than its size."""

import io
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import torch

REBUILDERS = ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")
# PyTorch's own list has more: a bytearray, and tensors and storages by their lengths alone, of any size.
KNOWN = {("collections", "OrderedDict"), ("torch", "Size"), ("torch", "device"), ("_codecs", "encode")}
KNOWN |= {("torch._utils", name) for name in REBUILDERS}


def check_saved(path: Path) -> None:
    """Read the file through, and its pickle without making a tensor.

    Raises:
        OSError: it cannot be read.
        pickle.UnpicklingError: it asks for more than tensors and plain values.
        Exception: it is damaged, or made to take more memory than it is long.
    """
    with path.open("rb") as file:
        if zipfile.is_zipfile(file):
            _check_zip(file, path.stat().st_size)
        else:
            _check_old(file, path.stat().st_size)


def _check_zip(file: IO[bytes], size: int) -> None:
    with zipfile.ZipFile(file) as archive:
        records = {record.filename: record for record in archive.infolist()}
        if len(records) < len(archive.infolist()) or len({name.split("/")[0] for name in records}) != 1:
            raise ValueError("its records are not those of torch.save")
        if any(record.compress_type != zipfile.ZIP_STORED for record in records.values()):
            raise ValueError("its records are compressed, which torch.save never does")
        if sum(record.file_size for record in records.values()) > size:
            raise ValueError("its records are longer than the file")
        if damaged := archive.testzip():
            raise ValueError(f"the checksum of {damaged} is wrong")
        root = next(iter(records)).split("/")[0]
        storages = _read_pickle(io.BytesIO(archive.read(f"{root}/data.pkl")), records[f"{root}/data.pkl"].file_size)
        for key, num_bytes in storages.items():
            if num_bytes > records[f"{root}/data/{key}"].file_size:
                raise ValueError(f"a tensor is longer than its record {key}")


def _check_old(file: IO[bytes], size: int) -> None:
    """Check the format of PyTorch before 1.6, which has no checksums: pickles, and then what is in the tensors."""
    file.seek(0)
    for _ in range(3):  # a magic number, a version, and sizes of types
        _read_pickle(file, size)
    if sum(_read_pickle(file, size).values()) > size - file.tell():
        raise ValueError("its tensors are longer than the file")


def _read_pickle(file: IO[bytes], size: int) -> dict[str, int]:
    """Return the storages that a pickle names, and their bytes."""
    reader = _Reader(file, size)
    reader.load()
    return reader.storages


class _Stub:
    """Stands in for everything that would take memory."""

    def __new__(cls, *_: Any) -> "_Stub":
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


class _Reader(pickle._Unpickler):
    """Reads a pickle of torch.save with stubs for tensors; in Python, as the one in C makes room by numbers in it."""

    dispatch = {  # noqa: RUF012
        code: read
        for code, read in pickle._Unpickler.dispatch.items()
        if code not in (*pickle.BYTEARRAY8, *pickle.EXT1, *pickle.EXT2, *pickle.EXT4, *pickle.INST)
    }

    def __init__(self, file: IO[bytes], size: int) -> None:
        super().__init__(_Bounded(file, size))
        self.storages: dict[str, int] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name.endswith("Storage") and isinstance(kind := getattr(torch, name, None), type):
            return kind._dtype  # type: ignore[attr-defined]
        if (module, name) in KNOWN or (module == "torch" and isinstance(getattr(torch, name, None), torch.dtype)):
            return _Stub
        raise pickle.UnpicklingError(f"{module}.{name} is neither a tensor nor a plain value")

    def persistent_load(self, pid: Any) -> Any:
        _, dtype, key, _, numel = pid[:5]
        if pid[0] != "storage" or not isinstance(dtype, torch.dtype) or type(numel) is not int or numel < 0:
            raise ValueError("a storage is not one of torch.save")
        self.storages[str(key)] = max(numel * dtype.itemsize, self.storages.get(str(key), 0))
        return _Stub()


class _Bounded:
    """A file whose ``read`` never asks for more than there is: it allocates whatever it is asked for."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self.file, self.size = file, size
        self.readline = file.readline

    def read(self, num: int) -> bytes:
        if num > self.size:
            raise EOFError("it is cut short")
        return self.file.read(num)
