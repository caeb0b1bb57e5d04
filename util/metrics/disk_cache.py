"""Cache results on disk, in ``--cache_dir``."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from util.console import warn
from util.weights import load_safely, save_whole

VERSION = "1"  # changed with what features or classifiers are


def kept(cache_dir: Path, what: str, key: Sequence[str], compute: Callable[[], Mapping[str, Any]]) -> Any:
    """Return what ``compute`` once returned for ``key``; a damaged file is made anew.

    Args:
        cache_dir: where cached files go.
        what: it is, such as features.
        key: everything that the result depends on, such as the fingerprint of the images.
        compute: returns tensors and plain values by name.
    """
    digest = hashlib.sha256("\0".join([VERSION, what, *key]).encode("utf-8", "surrogateescape")).hexdigest()[:20]
    path = cache_dir / "metrics" / f"{what}_{digest}.pth"
    if path.exists():
        try:
            return load_safely(path)
        except ValueError as error:
            warn(f"{error}: it is made anew")
    found = compute()
    path.parent.mkdir(parents=True, exist_ok=True)
    save_whole(found, path)
    return found
