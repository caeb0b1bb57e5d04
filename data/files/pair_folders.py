"""Where image-to-image data sets keep A and B; imports neither torch nor Pillow."""

from collections.abc import Callable
from pathlib import Path

from data.files.image_paths import READ, Survey, survey
from data.files.phases import PHASES, SIDES, child, phase_folder


def pair_folders(root: Path, phase: str) -> tuple[Path, Path] | None:
    """Return the folders of A and of B for one phase: the first of these layouts that is there, or None.

        root/trainA, root/trainB      root/train/A, root/train/B      root/A/train, root/B/train
        root/A/trainA, root/B/trainB  root/A, root/B

    The last has no phases: all of its images serve each. ``phases.NAMES`` says what else phases may be called.

    Raises:
        FileNotFoundError: A is there without B, or B without A.
    """
    alone = None
    for layout, (A, B) in _layouts(root, phase).items():
        if A and B:
            return A, B
        if A or B:
            missing = layout.replace("?", "B" if A else "A")
            alone = alone or (A or B, missing)
    if alone and alone[0]:
        there, missing = alone[0].relative_to(root), alone[1]
        raise FileNotFoundError(
            f"--dataroot {root}: there is {there}/ but no {missing}/ (one folder alone is read by test.py --model test)"
        )
    return None


def _layouts(root: Path, phase: str) -> dict[str, tuple[Path | None, Path | None]]:
    """Return {layout, with ? for A or B: the folders of A and of B, None where one is missing}."""
    sides = [child(root, (side,)) for side in SIDES]
    within = phase_folder(root, phase)

    def both(find: Callable[[str, Path | None], Path | None]) -> tuple[Path | None, Path | None]:
        return find("A", sides[0]), find("B", sides[1])

    found = {
        f"{phase}?": both(lambda side, _: phase_folder(root, phase, side)),
        f"{phase}/?": both(lambda side, _: within and child(within, (side,))),
        f"?/{phase}": both(lambda _, folder: folder and phase_folder(folder, phase)),
        f"?/{phase}?": both(lambda side, folder: folder and phase_folder(folder, phase, side)),
    }
    pairs = [(folder, name) for folder, side in zip(sides, SIDES, strict=True) if folder for name in ("", side)]
    if not any(phase_folder(folder, p, name) for folder, name in pairs for p in PHASES):
        found["?"] = (sides[0], sides[1])
    return found


def one_folder(root: Path, phase: str, side: str) -> Path:
    """Return the folder of a collection: of those of ``side`` in ``pair_folders``, root/train, or root itself.

    A root that is a single file is returned as it is.

    Raises:
        FileNotFoundError: there are folders of other phases alone.
    """
    if root.is_file():
        return root
    for stand_in in PHASES[phase]:
        own = [pair["AB".index(side)] for layout, pair in _layouts(root, stand_in).items() if layout != "?"]
        for folder in (*own, phase_folder(root, stand_in)):
            if folder:
                say_stand_in(root, phase, stand_in)
                return folder
    if others := [f.name for p in PHASES for s in ("", *SIDES) if (f := phase_folder(root, p, s))]:
        raise FileNotFoundError(
            f"--dataroot {root} has nothing for --phase {phase}, but {', '.join(f'{name}/' for name in others)}: "
            "choose another --phase, or give a folder of images itself"
        )
    return root


def say_stand_in(root: Path, phase: str, stand_in: str) -> None:
    """Print which phase's images are read, when they are not those that were asked for."""
    if stand_in != phase:
        print(f"{root} has nothing for --phase {phase}: reading {stand_in}")


def survey_or_raise(folder: Path) -> Survey:
    """Return what lies below ``folder``, as ``survey`` does.

    Raises:
        FileNotFoundError: there are no images; the message says what there is instead.
    """
    found = survey(folder, READ)
    if found.names:
        return found
    others = [name for names in found.left_out.values() for name in names]
    instead = f": its {len(others)} files, such as {others[0]}, are of other kinds" if others else ""
    raise FileNotFoundError(f"{folder} holds no images{instead} (read are {' '.join(READ)})")
