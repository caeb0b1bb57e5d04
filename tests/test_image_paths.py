"""Finding image files, their order, and the part that is held out."""

import contextlib
import os
import random
from unittest import mock

import pytest
from PIL import Image

from data import create_dataset, recognize
from data.files.decode import BadImageError, decode_image
from data.files.image_paths import (
    EXTENSIONS,
    HEIF,
    Files,
    has_images,
    held_out,
    list_images,
    natural,
    read_list,
    survey,
)
from data.files.pixels import read_header
from data.image_folder_dataset import ImageFolderDataset
from util.open_image import FORMATS


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_images_are_found_in_any_depth_by_their_extension(tmp_path):
    touch(tmp_path, "a.jpg", "b/c.PNG", "b/d/e.Jpeg", "notes.txt", "b/card.yaml", "jpg", "f.jpg.txt")
    assert list_images(tmp_path) == ["a.jpg", "b/c.PNG", "b/d/e.Jpeg"]
    touch(tmp_path / "all", *(f"x{e}" for e in EXTENSIONS))
    assert len(list_images(tmp_path / "all")) == len(EXTENSIONS)


def test_every_extension_of_a_safe_format_is_read():
    Image.init()
    formats = {extension: name for extension, name in Image.registered_extensions().items() if name in FORMATS}
    assert set(EXTENSIONS) - set(HEIF) <= set(formats) | {".jpe", ".jfif"}
    strangers = {".rgb", ".rgba", ".bw", ".icb", ".vda", ".vst", ".jpc", ".jpf", ".jpx", ".apng", ".pfm", ".avifs"}
    assert set(formats) - set(EXTENSIONS) - set(HEIF) <= strangers


@pytest.mark.parametrize("kind", ["GIF", "JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "QOI", "AVIF", "JPEG2000"])
@pytest.mark.parametrize("name", ["scan", "a.dat", "b.jpg_large", "c.image"])
def test_what_no_extension_tells_the_first_bytes_do(tmp_path, kind, name):
    path = tmp_path / name
    with path.open("wb") as file:
        Image.new("RGB", (8, 8), "red").save(file, kind)
    touch(tmp_path, "d.bin", "e")
    (tmp_path / "BM.doc").write_bytes(b"BM is a word, and so is P6")
    (tmp_path / "P.text").write_bytes(b"P6x is no image")
    found = survey(tmp_path)
    assert found.names == [name]
    assert found.left_out == {"no images": ["BM.doc", "P.text", "d.bin", "e"]}
    assert decode_image(str(path), (8, 8), 3).shape == (3, 8, 8)


def test_texts_are_never_opened(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"GIF89a, said the text")
    assert list_images(tmp_path) == []


@pytest.mark.parametrize("extension", [".gif", ".jfif", ".avif", ".jp2", ".GIF", ".tga"])
def test_a_class_of_another_kind_of_file_is_a_class(tmp_path, extension):
    kind = {".jfif": "JPEG", ".jp2": "JPEG2000"}.get(extension.lower(), extension[1:])
    for name in ("cat/0.png", "cat/1.png", f"dog/0{extension}", f"dog/1{extension}"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), "blue").save(tmp_path / name, kind if name.endswith(extension) else "PNG")
    dataset = create_dataset("image_folder", ImageFolderDataset.Options(dataroot=str(tmp_path), val_fraction=0.0))
    assert dataset.spec.classes == ("cat", "dog")
    assert (dataset[3]["image"][2] > 0.9).all()


def test_heic_without_its_package_is_named_with_it(tmp_path):
    path = touch(tmp_path, "a.heic") / "a.heic"
    with mock.patch.dict("sys.modules", pillow_heif=None), pytest.raises(BadImageError, match="install pillow-heif"):
        decode_image(str(path), (8, 8), 3)
    with mock.patch.dict("sys.modules", pillow_heif=None), pytest.raises(BadImageError, match="install pillow-heif"):
        read_header(path)


def test_hidden_files_and_folders_are_left_out(tmp_path):
    touch(tmp_path, "a.jpg", ".b.jpg", ".cache/c.jpg", "__MACOSX/._a.jpg", ".jpg")
    assert list_images(tmp_path) == ["a.jpg"]


def test_linked_folders_are_read(tmp_path):
    touch(tmp_path / "there", "a.jpg")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there")
    assert list_images(tmp_path / "here") == ["link/a.jpg"]


def test_names_with_spaces_and_letters_of_any_script(tmp_path):
    names = ["a b/c d.jpg", "é/日本.png", "x'y\"z.png"]
    touch(tmp_path, *names)
    assert sorted(list_images(tmp_path)) == sorted(names)


def test_a_folder_with_and_without_images(tmp_path):
    touch(tmp_path, "notes.txt")
    assert not has_images(tmp_path)
    touch(tmp_path, "deep/down/a.bmp")
    assert has_images(tmp_path)
    assert not has_images(tmp_path / "nowhere")


def test_two_comes_before_ten():
    names = ["10", "2", "1", "a10", "a2", "a", "b1/c10", "b1/c9", "b10/a"]
    assert sorted(names, key=natural) == ["1", "2", "10", "a", "a2", "a10", "b1/c9", "b1/c10", "b10/a"]


def test_the_order_is_the_same_whatever_order_the_system_lists():
    """Also of names that differ in leading zeros only: a folder's class index must not change from run to run."""
    names = ["1", "01", "001", "a1b", "a01b", "A", "a", "²", "1.5", "-1", "٣"]
    expected = sorted(names, key=natural)
    for seed in range(20):
        random.Random(seed).shuffle(names)
        assert sorted(names, key=natural) == expected


def test_the_listing_does_not_depend_on_the_system(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{c}/{i}.jpg" for c in ("b", "a", "c") for i in (10, 9, "09", 1)))
    expected = list_images(tmp_path)
    scandir = os.scandir

    @contextlib.contextmanager
    def backwards(path):
        with scandir(path) as listing:
            yield sorted(listing, key=lambda entry: entry.name, reverse=True)

    monkeypatch.setattr(os, "scandir", backwards)
    assert list_images(tmp_path) == expected
    assert expected[:4] == ["a/1.jpg", "a/09.jpg", "a/9.jpg", "a/10.jpg"]


NAMES = [f"paper/{i}.jpg" for i in range(50)]


@pytest.mark.parametrize(
    ("num", "fraction", "expected"),
    [(50, 0.1, 5), (50, 0.0, 0), (50, 0.9, 45), (3, 0.1, 1), (2, 0.9, 1), (1, 0.5, 0), (0, 0.5, 0), (14, 0.1, 1)],
)
def test_the_held_out_part_is_a_fraction_but_neither_nothing_nor_all(num, fraction, expected):
    out = held_out(NAMES[:num], fraction)
    assert len(out) == expected
    assert out <= set(NAMES[:num])


def test_the_held_out_part_follows_from_the_names():
    out = held_out(NAMES, 0.1)
    assert held_out(NAMES[::-1], 0.1) == out
    assert out == {f"paper/{i}.jpg" for i in (10, 12, 15, 45, 48)}  # the smallest by sha1sum
    assert sorted(out) != NAMES[:5]


def test_the_held_out_part_grows_with_the_fraction():
    assert held_out(NAMES, 0.1) < held_out(NAMES, 0.3)


@pytest.mark.parametrize(
    "line", ["paper/a.jpg", "hands/paper/a.jpg", "./paper/a.jpg", "  paper/a.jpg ", "paper\\a.jpg"]
)
def test_a_list_names_images_from_the_folder_or_its_parent(tmp_path, line):
    root = touch(tmp_path / "hands", "paper/a.jpg", "paper/b.jpg")
    file = tmp_path / "list.txt"
    file.write_text(f"\n{line}\n\n")
    assert read_list(file, root, list_images(root)) == {"paper/a.jpg"}


@pytest.mark.parametrize("prefix", ["hands", "photos"])
def test_a_list_may_use_the_name_of_a_link_or_of_what_it_leads_to(tmp_path, prefix):
    photos = touch(tmp_path / "photos", "paper/a.jpg")
    root = tmp_path / "hands"
    root.symlink_to(photos)
    file = tmp_path / "list.txt"
    file.write_text(f"{prefix}/paper/a.jpg")
    assert read_list(file, root, list_images(root)) == {"paper/a.jpg"}


def test_a_list_from_windows(tmp_path):
    root = touch(tmp_path / "hands", "paper/a.jpg", "paper/é.jpg")
    file = tmp_path / "list.txt"
    file.write_bytes("\ufeffpaper\\a.jpg\r\npaper\\é.jpg\r\n".encode())
    assert read_list(file, root, list_images(root)) == {"paper/a.jpg", "paper/é.jpg"}


def test_a_class_of_the_same_name_as_the_folder(tmp_path):
    root = touch(tmp_path / "paper", "paper/a.jpg", "a.jpg")
    file = tmp_path / "list.txt"
    file.write_text("paper/a.jpg")
    assert read_list(file, root, list_images(root)) == {"paper/a.jpg"}


def test_a_list_that_names_a_missing_image(tmp_path):
    root = touch(tmp_path / "hands", "paper/a.jpg")
    file = tmp_path / "list.txt"
    file.write_text("paper/a.jpg\n\npaper/z.jpg\n")
    with pytest.raises(ValueError, match=r"list\.txt, line 3: paper/z\.jpg is not among the images in"):
        read_list(file, root, list_images(root))


def test_a_list_that_names_nothing(tmp_path):
    file = tmp_path / "list.txt"
    file.write_text("\n \n")
    with pytest.raises(ValueError, match="names no image"):
        read_list(file, tmp_path, [])
    with pytest.raises(FileNotFoundError):
        read_list(tmp_path / "nowhere.txt", tmp_path, [])


def test_files_become_paths_one_by_one(tmp_path):
    names = [f"a/{i}.png" for i in range(5)]
    files = Files(tmp_path, names)
    assert list(files) == [tmp_path / name for name in names]
    assert (len(files), files[-1], list(files[1:3])) == (5, tmp_path / "a/4.png", list(files)[1:3])
    assert list(files.texts()) == [str(path) for path in files]


def test_a_set_with_class_folders_is_recognized_without_listing_it(tmp_path, monkeypatch):
    """Many images: one that lies in a folder of its own says that these are no A|B pairs."""
    for i in range(40):
        (tmp_path / f"train/c{i}").mkdir(parents=True)
        (tmp_path / f"train/c{i}/0.png").touch()
    scanned, scandir = [], os.scandir

    def noted(path):
        scanned.append(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", noted)
    assert recognize(str(tmp_path))[0] == "image_folder"
    assert len([path for path in scanned if "/train/c" in str(path)]) < 5
