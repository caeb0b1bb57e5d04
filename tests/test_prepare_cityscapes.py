"""datasets/prepare_cityscapes_dataset.py on files named as Cityscapes names them."""

import numpy as np
import pytest
from PIL import Image

from data import recognize
from datasets.prepare_cityscapes_dataset import main


@pytest.fixture
def city(tmp_path):
    for phase, num in (("train", 2), ("val", 1), ("test", 1)):
        for i in range(num):
            stem = f"aachen_{i:06d}_000019"
            for kind, end, colour in (("leftImg8bit", "leftImg8bit", "red"), ("gtFine", "gtFine_color", "blue")):
                path = tmp_path / kind / phase / "aachen" / f"{stem}_{end}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (32, 16), colour).save(path)
    return tmp_path


def words(city):
    folders = {"gtFine_dir": "gtFine", "leftImg8bit_dir": "leftImg8bit", "output_dir": "cityscapes"}
    return [word for name, folder in folders.items() for word in (f"--{name}", str(city / folder))]


def test_photos_are_a_and_labels_b(city, capsys):
    main(words(city))
    assert "2 pairs in train/, 1 pairs in test/" in capsys.readouterr().out
    with Image.open(city / "cityscapes/train/1.jpg") as image:
        assert image.size == (512, 256)
        pixels = np.asarray(image)[128]
    assert pixels[100, 0] > 240 and pixels[400, 2] > 240  # the photo is red, the map blue
    names = {p.name for p in (city / "cityscapes").iterdir()}
    assert names == {"train", "trainA", "trainB", "test", "testA", "testB"}
    assert recognize(str(city / "cityscapes"))[0] == "unaligned"


@pytest.mark.parametrize(("gone", "message"), [("gtFine", "has no label map"), ("leftImg8bit", "no train/CITY/")])
def test_what_is_missing_is_named_in_one_line(city, capsys, gone, message):
    for path in (city / gone / "train").rglob("*.png"):
        path.unlink()
    with pytest.raises(SystemExit):
        main(words(city))
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
