"""Save and restore what a run needs to resume as if it had never stopped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch.optim import Optimizer

from util.background import Do, at_once
from util.files import sync
from util.memory import lack_of_memory
from util.moments import check_moments
from util.runs import STATE_FILE
from util.weights import load_safely, save_whole

FORMAT = 2  # of latest_state.pth; raised when an older one can no longer be read


class Stateful(Protocol):
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: Any) -> Any: ...


class Checkpoint:
    """Named objects whose states are saved together in ``folder/latest_state.pth``."""

    def __init__(
        self,
        folder: Path,
        parts: Mapping[str, Stateful],
        optional: Sequence[str] = (),
        late: Sequence[str] = (),
        do: Do = at_once,
        logs: Callable[[], Iterable[Path]] = tuple,
    ) -> None:
        """Name the file and what it holds.

        Args:
            folder: of the run.
            parts: by the names under which their states are saved.
            optional: parts that a file may lack, which then stay as they are.
            late: parts to snapshot only after all earlier background writes have finished.
            do: writes the file, maybe later, with the other parts' states as they were.
            logs: returns the files that the states refer to, which are brought to the disk before they are.
        """
        self.path = folder / STATE_FILE
        self.parts = parts
        self.optional, self.late = set(optional), set(late)
        self.do, self.logs = do, logs

    def save(self) -> None:
        """Write the file whole or not at all; raise OSError, with the previous one untouched, when it cannot be.

        Where ``do`` writes later, it raises later.
        """
        self.do(self._write, {name: self.parts[name].state_dict() for name in self.parts if name not in self.late})

    def _write(self, states: dict[str, Any]) -> None:
        for log in self.logs():
            sync(log)
        late = {name: self.parts[name].state_dict() for name in self.late}
        save_whole({"format": FORMAT} | states | late, self.path)

    def load(self) -> None:
        """Restore all parts.

        Raises:
            ValueError: there is no such file, or it is damaged, of another format or of another architecture.
        """
        if not self.path.exists():
            raise ValueError(
                f"there is no {self.path}: the run ended before its first save; begin again by --overwrite"
            )
        saved = load_safely(self.path)
        if not isinstance(saved, dict) or saved.get("format") != FORMAT:
            found = saved.get("format") if isinstance(saved, dict) else type(saved).__name__
            raise ValueError(f"{self.path} is of format {found}, this version reads {FORMAT}")
        if "divergence" not in saved and "restarts" in saved.get("quality", {}):  # where earlier versions counted them
            saved["divergence"] = {"restarts": saved["quality"]["restarts"]}
        if missing := self.parts.keys() - saved.keys() - self.optional:
            raise ValueError(f"{self.path} lacks {', '.join(sorted(missing))}: the run had other options")
        for name, part in self.parts.items():
            if name not in saved:
                continue
            try:
                if isinstance(part, Optimizer):
                    check_moments(part, saved[name])
                part.load_state_dict(saved[name])
            except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
                if lack_of_memory(error):
                    raise
                reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()
                raise ValueError(
                    f"{self.path} does not fit this model ({name}: {reason:.300}); "
                    "put a copy of it back, or begin again by --overwrite"
                ) from None
