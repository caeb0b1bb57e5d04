"""Download known data sets: ``python datasets/download.py horse2zebra`` makes datasets/horse2zebra."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.download.download import main

if __name__ == "__main__":
    main()
