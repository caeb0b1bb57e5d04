"""PPM and PGM whose white is not 255: their numbers as they are, and white where the file says that it is."""

import numpy as np
import pytest

from data.files.decode import BadImageError
from data.files.pixels import numbers, read_header, read_pixels, read_resized
from data.files.ranges import sample, warn_of_range

H, W = 5, 8


def pixels(white, channels):
    unit = np.random.default_rng(white).random((H, W, channels))
    return (unit * white).round().astype(np.uint8 if white < 256 else np.uint16)


def save(path, stored, white, comment=b"", text=False):
    kind = {(1, False): b"P5", (3, False): b"P6", (1, True): b"P2", (3, True): b"P3"}[stored.shape[2], text]
    head = b"%s\n%s%d %d\n%s%d\n" % (kind, comment, W, H, comment, white)
    words = b" ".join(b"%d" % n for n in stored.ravel())
    path.write_bytes(head + (words if text else stored.astype(">u2" if white > 255 else "u1").tobytes()))
    return path


@pytest.mark.parametrize("white", [1, 15, 100, 254, 1023, 4095, 65534, 65535])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("text", [False, True])
def test_numbers_are_as_in_the_file_and_its_white_is_white(tmp_path, white, channels, text):
    stored = pixels(white, channels)
    path = save(tmp_path / f"a.{'pgm' if channels == 1 else 'ppm'}", stored, white, text=text)
    depth = 8 if white < 256 else 16
    assert read_header(path)[:4] == (H, W, channels, depth)
    assert (numbers(path, read_header(path)) == stored).all()
    assert (read_pixels(path, channels, depth) == (stored / white * (2**depth - 1)).round()).all()
    assert np.abs(read_resized(path, (H, W), channels) - stored / white * 255).max() <= 1
    part = stored.astype(float) / (white / 2)  # a range is one of the numbers in the file
    assert np.abs(read_pixels(path, channels, 32, (0, white / 2)) - (part.clip(0, 1) * 2 - 1)).max() < 1e-6


@pytest.mark.parametrize("comment", [b"# made by\n", b"# one\n#two\n\n# three\n", b"#" + b"long " * 30 + b"\n"])
def test_comments_cost_no_depth(tmp_path, comment):
    stored = pixels(65535, 3)
    path = save(tmp_path / "a.ppm", stored, 65535, comment)
    assert read_header(path).depth == 16
    assert (read_pixels(path, 3, 16) == stored).all()


def test_a_white_of_its_own_is_no_reason_to_warn(tmp_path, capsys):
    """12 bits that use their 12 bits; and others that do not."""
    save(tmp_path / "a.pgm", pixels(4095, 1), 4095)
    warn_of_range("value_range", (), sample([tmp_path / "a.pgm"]))
    assert capsys.readouterr().err == ""
    save(tmp_path / "b.pgm", pixels(200, 1).astype(np.uint16), 4095)
    warn_of_range("value_range", (), sample([tmp_path / "b.pgm"]))
    assert "little of the 0 to 4095" in capsys.readouterr().err


@pytest.mark.parametrize("text", [False, True])
def test_damaged_files_say_why(tmp_path, text):
    path = save(tmp_path / "a.pgm", pixels(1000, 1), 1000, text=text)
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(BadImageError, match=r"cut short: 3[5-9] of 40 numbers"):
        read_pixels(path, 1, 16)
    save(path, pixels(2000, 1), 1000, text=text)
    with pytest.raises(BadImageError, match="numbers beyond 0 to 1000"):
        read_pixels(path, 1, 16)
