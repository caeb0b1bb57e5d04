"""CIFAR-10's binary version as class folders of PNG files."""

from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
BATCHES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
SIDE = 32  # pixels


def to_class_folders(folder: Path) -> None:
    """Write {train,test}/CLASS/00000.png, numbered through each split, in place of the batches in ``folder``.

    Raises:
        ValueError: a batch is missing, cut short, or has a label that is none of the ten.
    """
    for split, batches in BATCHES.items():
        for name in CLASSES:
            (folder / split / name).mkdir(parents=True)
        records = np.concatenate([read_batch(folder / batch) for batch in batches])
        for index, record in enumerate(tqdm(records, f"writing {split}", unit="img", leave=False, disable=None)):
            image = record[1:].reshape(3, SIDE, SIDE).transpose(1, 2, 0)
            Image.fromarray(image).save(folder / split / CLASSES[record[0]] / f"{index:05d}.png")
    for file in folder.iterdir():
        if file.is_file():
            file.unlink()


def read_batch(file: Path) -> np.ndarray:
    """Return uint8 (N, 1 + 3072): of each image the label, then its red, green and blue plane, row by row."""
    if not file.is_file():
        raise ValueError(f"the archive lacks {file.name}")
    content = np.fromfile(file, np.uint8)
    length = 1 + 3 * SIDE * SIDE
    if len(content) == 0 or len(content) % length:
        raise ValueError(f"{file.name} is damaged: {len(content)} bytes are no whole number of images")
    records = content.reshape(-1, length)
    if (largest := int(records[:, 0].max())) >= len(CLASSES):
        raise ValueError(f"{file.name} is damaged: an image has label {largest}")
    return records
