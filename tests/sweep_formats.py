"""Write image files of all kinds that Pillow, OpenCV and tifffile know, and see that none is read wrongly.

    python -m tests.sweep_formats          # all of them: a table of what was read right, refused, left out
    python -m tests.sweep_formats 40       # some, from all over the list, as the tests do

A file is read right, number by number, or refused in words, or left out by name. Each comes with the numbers that its
writer was given; where a format is lossy, with how far off they may be.
"""

import contextlib
import functools
import itertools
import os
import struct
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OPENCV_IO_ENABLE_OPENEXR", "1")

import cv2
import numpy as np
import tifffile
from PIL import Image

from data.files.decode import BadImageError
from data.files.image_paths import READ, survey
from data.files.pixels import read_header, read_pixels, read_resized
from util.spread import spread

H, W = 11, 17
DEEP = ("I;16", "I", "F")
DTYPES = ("bool", "uint8", "uint16", "uint32", "int8", "int16", "int32", "float16", "float32", "float64")


def save_array(array: np.ndarray, path: Path) -> None:
    np.save(path, array)


class Case(NamedTuple):
    """A file to write, and the numbers (H, W, C) that are to be read from it: None where it may only be refused."""

    name: str
    write: Callable[[Path], object]
    numbers: np.ndarray | None
    tolerance: float = 0.0  # of the numbers; for floats and other large numbers, of their range


class Verdict(NamedTuple):
    """What became of a file."""

    kind: str  # right, refused, left out, WRONG
    why: str = ""


def picture(dtype: str, channels: int, seed: int = 0) -> np.ndarray:
    """Return a smooth image (H, W, C) that uses much of what ``dtype`` holds, the same at every call."""
    y, x = np.mgrid[0:H, 0:W]
    planes = [(np.sin(x / 5 + k + seed) + np.cos(y / 4 - 2 * k) + 2) / 4 for k in range(channels)]
    unit = np.stack(planes, 2)
    if dtype == "bool":
        return unit > 0.5
    if np.dtype(dtype).kind == "f":
        return (unit * 300 - 100).astype(dtype)
    limits = np.iinfo(dtype)
    return (unit * (float(limits.max) - limits.min) + limits.min).round().clip(limits.min, limits.max).astype(dtype)


def on_white(pixels: np.ndarray, premultiplied: bool = False) -> np.ndarray:
    """Return pixels (H, W, C + 1) without transparency, the last channel, over white."""
    most = np.iinfo(pixels.dtype).max
    alpha = pixels[:, :, -1:] / most
    seen = pixels[:, :, :-1] * (1 if premultiplied else alpha) + most * (1 - alpha)
    return seen.clip(0, most).round().astype(pixels.dtype)


def of_pillow() -> Iterator[Case]:
    """Yield what Pillow writes: every mode in every format that takes it."""
    rgb, grey = Image.fromarray(picture("uint8", 3)), Image.fromarray(picture("uint8", 1)[:, :, 0])
    sources = {mode: rgb.convert(mode) for mode in ("1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV")}
    sources |= {"RGBA": Image.fromarray(picture("uint8", 4)), "LA": Image.fromarray(picture("uint8", 2))}
    sources |= {"LAB": Image.frombytes("LAB", (W, H), picture("uint8", 3).tobytes())}
    sources |= {"I;16": Image.fromarray(picture("uint16", 1)[:, :, 0])}
    sources |= {"I": Image.fromarray(picture("uint16", 1)[:, :, 0].astype(np.int32))}
    sources |= {"F": Image.fromarray(picture("float32", 1)[:, :, 0])}
    endings: dict[str, list[dict[str, Any]]] = {
        **{
            ending: [{}]
            for ending in ("bmp", "dib", "gif", "pcx", "pgm", "ppm", "pbm", "pnm", "qoi", "sgi", "jp2", "j2k")
        },
        "png": [{}, {"optimize": True}],
        "tga": [{}, {"compression": "tga_rle"}],
        "webp": [{"lossless": True, "exact": True}, {"quality": 95}],
        "avif": [{"quality": 95, "subsampling": "4:4:4"}],
        **{ending: [{"quality": 98, "subsampling": 0}] for ending in ("jpg", "jpeg", "jfif", "jpe")},
        "mpo": [{"quality": 98, "subsampling": 0}],
        "tif": [{"compression": f"tiff_{c}"} for c in ("lzw", "deflate", "adobe_deflate", "jpeg")]
        + [{"compression": c} for c in (None, "packbits", "group3", "group4", "zstd", "lzma", "webp")],
        "tiff": [{"big_tiff": True}],
    }
    for (mode, source), (ending, settings) in itertools.product(sources.items(), endings.items()):
        for number, options in enumerate(settings):
            if mode in DEEP and ending not in ("png", "tif", "tiff", "pgm", "jp2", "sgi"):
                continue  # Pillow would make 8 bits of it first, or 256 colours
            if (mode in ("CMYK", "YCbCr") and ending == "j2k") or (mode in ("RGBA", "LA") and ending == "gif"):
                continue  # nothing in the file says which colours it has; 256 colours
            lossy = ending in ("jpg", "jpeg", "jfif", "jpe", "mpo", "avif") or "quality" in options
            lossy |= "jpeg" in str(options) or "webp" in str(options)
            exact = mode not in ("YCbCr", "LAB")
            if lossy and mode in ("P", "LAB"):
                continue  # whose colours, dithered or far apart, are no photo's
            kept = options | ({"format": "MPO", "save_all": True} if ending == "mpo" else {})

            def write(path: Path, source: Image.Image = source, options: dict[str, Any] = kept) -> None:
                source.save(path, **options)

            name = f"pillow_{mode.replace(';', '')}_{number}.{ending}"
            no_alpha = mode == "RGBA" and ending in ("bmp", "dib", "pgm", "ppm", "pbm", "pnm")
            seen = np.asarray(source)[:, :, :3] if no_alpha else _seen(mode, source)
            yield Case(name, write, seen, 30.0 if lossy else 0.0 if exact else 2.0)
    for bits, most in ((1, 1), (2, 3), (4, 15)):
        indices = (picture("uint8", 1)[:, :, 0] // (256 // (most + 1))).astype(np.uint8)
        image = Image.fromarray(indices, "P")
        image.putpalette(bytes((i * 37 + 5) % 256 for i in range(3 * (most + 1))))
        yield Case(f"palette_{bits}.png", functools.partial(image.save), np.asarray(image.convert("RGB")))
    key = (200, 10, 30)
    pixels = picture("uint8", 3)
    pixels[2:5, 3:9] = key
    seen = np.where((pixels == key).all(2, keepdims=True), np.uint8(255), pixels)
    yield Case("one_colour.png", lambda p: Image.fromarray(pixels).save(p, transparency=key), seen)
    dark = picture("uint8", 1)
    dark[1:4] = 7
    yield Case(
        "one_grey.png", lambda p: Image.fromarray(dark[:, :, 0]).save(p, transparency=7), np.where(dark == 7, 255, dark)
    )
    flat = grey.convert("P")
    clear = np.where(np.asarray(flat)[:, :, None] == 40, 255, np.asarray(flat.convert("RGB"))).astype(np.uint8)
    yield Case("one_index.png", lambda p: flat.save(p, transparency=40), clear)
    yield Case("one_index.gif", lambda p: flat.save(p, transparency=40), clear)


def _seen(mode: str, source: Image.Image) -> np.ndarray:
    """Return the numbers of a picture of Pillow's as people see it."""
    if mode in ("RGBA", "LA"):
        return on_white(np.asarray(source))
    if mode in ("L", "I;16", "F"):
        return np.asarray(source)[:, :, None]
    if mode == "I":
        return np.asarray(source).astype(np.uint16)[:, :, None]
    if mode == "1":
        return np.asarray(source.convert("L"))[:, :, None]
    return np.asarray(source.convert("RGB"))


def of_opencv() -> Iterator[Case]:
    """Yield what OpenCV writes: 8, 16 and 32 bits, 1, 3 and 4 channels."""
    kinds = {
        "uint8": ("png", "tif", "tiff", "bmp", "pgm", "ppm", "pnm", "jp2", "sr", "ras", "gif", "jpg", "webp", "avif"),
        "uint16": ("png", "tif", "tiff", "pgm", "ppm", "pnm", "jp2"),
        "float32": ("tif", "tiff", "hdr", "exr", "pfm"),
    }
    for dtype, channels in itertools.product(("uint8", "uint16", "float32"), (1, 3, 4)):
        pixels = picture(dtype, channels)
        stored = pixels[:, :, [2, 1, 0, *range(3, channels)]] if channels > 1 else pixels[:, :, 0]
        if dtype == "float32":
            pixels, stored = pixels + 101, stored + 101  # some formats know no negative numbers
        for ending in kinds[dtype]:
            if channels == 4 and ending in ("jpg", "gif"):
                continue
            # OpenCV does not declare what the fourth channel of a TIFF is.
            is_data = channels < 4 or dtype == "float32" or ending in ("tif", "tiff")
            seen = pixels if is_data else on_white(pixels)
            settings: list[list[int]] = [[]]
            if ending == "tif":
                settings = [[cv2.IMWRITE_TIFF_COMPRESSION, c] for c in (1, 5, 8, 32773, 32946)]
            if ending in ("jpg", "avif"):
                settings = [[cv2.IMWRITE_JPEG_QUALITY if ending == "jpg" else cv2.IMWRITE_AVIF_QUALITY, 97]]
            if ending == "webp":
                settings = [[cv2.IMWRITE_WEBP_QUALITY, 101]]
            if ending == "png":
                settings = [[], [cv2.IMWRITE_PNG_COMPRESSION, 0]]
            tolerance = {"jpg": 30.0, "avif": 20.0, "gif": 90.0}.get(ending, 0.0)
            for number, options in enumerate(settings):

                def write(path: Path, stored: np.ndarray = stored, options: list[int] = options) -> None:
                    if not cv2.imwrite(str(path), stored, options):
                        raise OSError("not written")

                yield Case(f"opencv_{dtype}_{channels}_{number}.{ending}", write, seen, tolerance)


def of_tifffile() -> Iterator[Case]:
    """Yield what tifffile writes: all types, bands, orders of bytes and planes."""
    ways: list[dict[str, Any]] = [
        {},
        {"byteorder": ">"},
        {"bigtiff": True},
        {"compression": "zlib"},
        {"tile": (16, 16)},
        {"rowsperstrip": 3},
        {"compression": "lzma"},
    ]
    for dtype, channels, (number, way) in itertools.product(DTYPES, (1, 2, 3, 5), enumerate(ways)):
        if dtype == "bool" and channels > 1:
            continue  # which tifffile writes, and reads as something else
        pixels = picture(dtype, channels)
        photometric = "rgb" if channels == 3 else "minisblack"
        whole = pixels[:, :, 0] if channels == 1 else pixels
        settings = {"photometric": photometric, **({"planarconfig": "contig"} if channels > 1 else {}), **way}
        yield _tiff(f"tifffile_{dtype}_{channels}_{number}.tif", whole, settings, _numbers(pixels))
    for dtype, channels in itertools.product(("uint8", "uint16", "float32"), (3, 4, 6)):
        pixels = picture(dtype, channels)
        kept = {"planarconfig": "separate", "photometric": "rgb" if channels == 3 else "minisblack"}
        yield _tiff(f"planes_{dtype}_{channels}.tif", np.moveaxis(pixels, 2, 0), kept, pixels)
        yield _tiff(f"pages_{dtype}_{channels}.tif", np.moveaxis(pixels, 2, 0), {"photometric": "minisblack"}, pixels)
    for dtype, kind in itertools.product(("uint8", "uint16"), ("unspecified", "assocalpha", "unassalpha")):
        for channels in (1, 3, 4):
            pixels = picture(dtype, channels + 1)
            if kind == "assocalpha":
                pixels[:, :, :-1] = np.minimum(pixels[:, :, :-1], pixels[:, :, -1:])
            seen = pixels if kind == "unspecified" else on_white(pixels, kind == "assocalpha")
            off = 1.0 if kind == "assocalpha" else 0.0  # as it may be rounded twice
            tags: dict[str, Any] = {"photometric": "rgb" if channels == 3 else "minisblack", "planarconfig": "contig"}
            tags |= {"extrasamples": [kind] if channels < 4 else [0, 0, 0, kind]}
            yield _tiff(f"{kind}_{dtype}_{channels}.tif", pixels, tags, pixels if channels == 4 else seen, off)
    for dtype in ("uint8", "uint16", "uint32"):
        pixels = picture(dtype, 1)
        seen = np.iinfo(dtype).max - pixels
        yield _tiff(f"miniswhite_{dtype}.tif", pixels[:, :, 0], {"photometric": "miniswhite"}, seen)
    small = picture("uint8", 4)[:3, :5]
    yield _tiff("small_bands.tif", small, {"photometric": "minisblack", "planarconfig": "contig"}, small)
    yield _tiff("complex.tif", picture("float32", 1)[:, :, 0].astype(np.complex64), {}, None)


def _tiff(
    name: str, pixels: np.ndarray, settings: dict[str, Any], numbers: np.ndarray | None, tolerance: float = 0.0
) -> Case:
    order = {k: v for k, v in settings.items() if k in ("byteorder", "bigtiff")}
    rest = {k: v for k, v in settings.items() if k not in order}

    def write(path: Path) -> None:
        tifffile.imwrite(path, pixels, **order, **rest)

    return Case(name, write, numbers, tolerance)


def of_numpy() -> Iterator[Case]:
    """Yield arrays: all types, bands, orders of bytes and axes."""
    for dtype, channels in itertools.product(DTYPES, (1, 3, 4, 7)):
        pixels = picture(dtype, channels)
        whole = pixels[:, :, 0] if channels == 1 else pixels
        forms = {"plain": whole, "first": np.moveaxis(pixels, 2, 0), "fortran": np.asfortranarray(whole)}
        forms["big"] = whole.astype(whole.dtype.newbyteorder(">"))
        for form, array in forms.items():
            yield Case(f"{form}_{dtype}_{channels}.npy", functools.partial(save_array, array), _numbers(pixels))
    yield Case("complex.npy", lambda p: np.save(p, picture("float32", 1) * 1j), None)
    yield Case("four_dimensions.npy", lambda p: np.save(p, np.zeros((2, 3, 4, 5))), None)


def of_bytes() -> Iterator[Case]:
    """Yield PNG files that no library here writes: 16 bits with a transparent colour, and an alpha channel."""
    for kind, channels in {0: 1, 2: 3, 4: 2, 6: 4}.items():
        pixels = picture("uint16", channels)
        yield Case(f"png16_{kind}.png", _png(pixels, kind), on_white(pixels) if kind in (4, 6) else pixels)
        if kind in (0, 2):
            pixels = pixels.copy()
            pixels[3:5, 2:9] = range(1000, 1000 + channels)
            clear = (pixels == range(1000, 1000 + channels)).all(2, keepdims=True)
            key = struct.pack(f">{channels}H", *range(1000, 1000 + channels))
            yield Case(f"png16_{kind}_key.png", _png(pixels, kind, key), np.where(clear, np.uint16(65535), pixels))


def _png(pixels: np.ndarray, kind: int, key: bytes = b"") -> Callable[[Path], object]:
    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, 16, kind, 0, 0, 0)), chunk(b"tRNS", key) if key else b""]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def _numbers(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels


def judge(path: Path, case: Case) -> Verdict:
    """Read a file as the data sets do, and compare."""
    if path.name not in survey(path.parent, READ).names:
        return Verdict("left out")
    try:
        header = read_header(path)
        pixels, wanted = _read(path, header.channels, header.depth, case.numbers)
        if case.numbers is None:
            return Verdict("WRONG", "read, though these are no pixels")
        if pixels.shape[2] == 3 and case.numbers.shape[2] == 1:  # where a format knows no grey
            wanted = np.repeat(wanted, 3, 2) if wanted.shape[2] == 1 else wanted
        elif pixels.shape != case.numbers.shape:
            return Verdict("WRONG", f"{pixels.shape} of {case.numbers.shape}")
        off = float(np.abs(pixels - wanted).max())
        if not off <= case.tolerance + (0 if header.depth < 32 else 1e-6):
            return Verdict("WRONG", f"off by {off:g}")
        if header.depth < 32 and header.channels in (1, 3) and path.suffix != ".npy":  # as labelled data has it
            wanted = wanted if header.depth == 8 else wanted // 256
            bytes_ = read_resized(path, pixels.shape[:2], header.channels).astype(float)
            if (off := float(np.abs(bytes_ - wanted).max())) > max(case.tolerance, 1):
                return Verdict("WRONG", f"as labelled data off by {off:g}")
    except (BadImageError, ValueError) as error:
        return Verdict("refused", str(error))
    return Verdict("right")


def _read(path: Path, channels: int, depth: int, expected: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return what is read, and what should be, as floats; of numbers without a depth of their own, in [-1, 1]."""
    if depth < 32 or expected is None:
        limits: tuple[float, ...] = () if depth < 32 else (0.0, 1.0)
        found = read_pixels(path, channels, depth, limits).astype(np.float64)
        if expected is None or expected.dtype == {8: np.uint8, 16: np.uint16}[depth]:
            return found, found if expected is None else expected.astype(np.float64)
        return found, np.full(found.shape, np.nan)
    lo, hi = float(expected.min()), float(expected.max())
    unit = (expected.astype(np.float64) - lo) / (hi - lo) * 2 - 1
    return read_pixels(path, channels, 32, (lo, hi)).astype(np.float64), unit


def cases() -> list[Case]:
    """Return all files."""
    return [*of_pillow(), *of_opencv(), *of_tifffile(), *of_numpy(), *of_bytes()]


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Send to nowhere what libraries in C print to stderr."""
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def sweep(folder: Path, chosen: list[Case]) -> dict[str, Verdict]:
    """Write files, each to a folder of its own, and judge them; those that their library does not write are missing."""
    verdicts = {}
    for number, case in enumerate(chosen):
        path = folder / str(number) / case.name
        path.parent.mkdir()
        with silence(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                case.write(path)
            except Exception:  # not in this format, or not with these options
                continue
            verdicts[case.name] = judge(path, case)
    return verdicts


def main() -> int:
    """Print what became of the files; return 1 when one was read wrongly."""
    every = cases()
    chosen = [every[i] for i in spread(len(every), int(sys.argv[1]) if len(sys.argv) > 1 else len(every))]
    with tempfile.TemporaryDirectory() as folder:
        verdicts = sweep(Path(folder), chosen)
    for name, (kind, why) in verdicts.items():
        if kind != "right":
            print(f"{kind:9} {name:34} {why[:150]}")
    print(f"{len(verdicts)} files: {dict(Counter(verdict.kind for verdict in verdicts.values()))}")
    return int(any(verdict.kind == "WRONG" for verdict in verdicts.values()))


if __name__ == "__main__":
    sys.exit(main())
