"""Join pairs of images for pix2pix: ``python datasets/combine_A_and_B.py --fold_A edges/A --fold_B edges/B``."""

# ruff: noqa: N999  the script's name is the one that pix2pix made known

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.files.combine import main

if __name__ == "__main__":
    main()
