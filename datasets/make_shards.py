"""Put images into shards, which train.py reads in place: ``python datasets/make_shards.py --dataroot animals``."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from data.make_shards import main

if __name__ == "__main__":
    main()
