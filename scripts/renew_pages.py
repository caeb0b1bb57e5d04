"""Give pages of scripts/export.py --format web the style and scripts of today; their models stay as they are.

python scripts/renew_pages.py docs/demo/*.html
"""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from util.console import one_line_errors
from util.export.web_page import renewed
from util.files import written_whole


def main(argv: Sequence[str] | None = None) -> None:
    words = sys.argv[1:] if argv is None else argv
    with one_line_errors("renew_pages.py", False, ValueError, OSError):
        if not words or words[0].startswith("-"):
            raise ValueError(f"which pages?{(__doc__ or '').splitlines()[2]}")
        for path in map(Path, words):
            try:
                page = renewed(path.read_bytes())
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from None
            with written_whole(path) as file:
                file.write(page)
            print(f"{path}: {len(page) / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
