"""Tell memory that ran out from other errors, and say which options take less."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from util.runs import STATE_FILE

if TYPE_CHECKING:
    from options.parse import Config

SIGNS = (  # in messages of PyTorch, oneDNN, OpenCV, Python and the linker
    "out of memory",
    "t allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "insufficient memory",
    "bad_alloc",
    "alloc_failed",
    "could not create a primitive",
    "can't start new thread",
    "failed to map segment",
)


def lack_of_memory(error: BaseException) -> str:
    """Return what an error says that came of too little memory, or too few threads; "" for any other error."""
    if isinstance(error, ValueError | LookupError):  # of ours, with words of a user in it
        return ""
    lines = str(error).splitlines() or [""]
    text = next((line for line in lines if any(sign in line.lower() for sign in SIGNS)), lines[0])
    is_lack = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if not is_lack and (getattr(error, "errno", None) or not any(sign in text.lower() for sign in SIGNS)):
        return ""
    _, _, text = text.rpartition("DefaultCPUAllocator: ")
    for end in (". GPU ", ". Error code", ". If reserved"):
        text = text.partition(end)[0]
    return text.strip()[:300] or "an allocation failed"


@contextmanager
def naming_memory(config: "Config[Any]") -> Iterator[None]:
    """Raise MemoryError, with the options that decide how much is taken, when the block runs out of memory."""
    try:
        yield
    except Exception as error:
        if not (lack := lack_of_memory(error)):
            raise
        raise MemoryError(f"{lack}; {what_takes_less(config, is_gpu='CUDA' in lack)}") from None


def what_takes_less(config: "Config[Any]", is_gpu: bool) -> str:
    """Return the options that decide how much memory is taken, and what to change of them."""
    options = {**vars(config.data), **vars(config.model), **vars(config.run)}
    size, parts = options["batch_size"], options.get("accumulate", 1)
    is_training = "n_epochs" in options
    taken, less = [], []
    if size:
        taken.append(f"--batch_size {size}")
    if side := options.get("image_size") or ("crop" in options.get("preprocess", "") and options["crop_size"]):
        taken.append(f"images of {side}x{side}")
    if is_training:
        taken.append(f"--precision {options['precision']}")
    is_fixed = options.get("continue_train")  # which keeps what changes the numbers
    if size != 1 and not is_fixed:
        less.append(f"--batch_size {max(1, size // 2)}")
    if is_training and not is_fixed and (more := [n for n in range(parts + 1, size + 1) if size % n == 0]):
        less.append(f"--accumulate {more[0]}")
    if options.get("checkpoint_activations") is False:
        less.append("--checkpoint_activations")
    if is_training and options["precision"] in ("auto", "fp32"):
        less.append("--precision bf16")
    if "tile" in options and "preprocess" in options and not options["tile"]:
        less.append("--tile 256")
    if options["cache"] in ("auto", "gpu") and is_gpu:
        less.append("--cache ram")
    elif options["cache"] in ("auto", "gpu", "ram"):
        less.append("--cache disk or off")
    if options["num_threads"] > 1 and not is_gpu:
        less.append("--num_threads 1")
    if side:
        less.append("smaller images")
    kept = "; what was saved is whole" if is_training and (config.run.run_dir / STATE_FILE).exists() else ""
    return f"with {', '.join(taken)}; less memory is taken by {', '.join(less)}{kept}"
