"""Open an image file by a decoder that is safe on files of strangers: the one place where Image.open is called."""

import io
import warnings
from pathlib import Path

from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from util.member import ImageFile, Member, size_of

# Not EPS, for which Pillow starts Ghostscript from PATH, whatever the file is called, nor what nobody trains on.
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF"),
    "WEBP",
)
MAX_PIXELS = 2 * (Image.MAX_IMAGE_PIXELS or 0)  # that Pillow opens, unless ``allow_pixels`` says otherwise
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # how files of these formats begin
SCALE = {"L;2": 85, "L;4": 17}  # by which Pillow makes bytes of fewer bits, but not of the one that is transparent
PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # the chunks of a PNG that pixels are made of
TEXTS = (*range(0xE1, 0xEE), 0xEF, 0xFE)  # the segments of a JPEG that they are not: Exif, XMP, ICC, comments ...


class TooLargeError(ValueError):
    """An image has more pixels than are allowed; the message says how to allow them."""


def allow_pixels(most: int) -> None:
    """From now on open images of up to ``most`` pixels in this process."""
    Image.MAX_IMAGE_PIXELS = (most + 1) // 2  # Pillow warns of more than this, and refuses more than twice as many
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)


def open_image(path: str | ImageFile) -> Image.Image:
    """Return an image, not yet decoded, of a format in ``FORMATS``.

    Damaged metadata, such as a colour profile, is left out.

    Raises:
        ImportError: the format takes a package that is not installed.
        OSError, ValueError and others: damaged files make decoders raise errors of every kind.
    """
    _prepare(str(path))
    formats = [name for name in FORMATS if name in Image.OPEN]
    try:
        image = Image.open(path.open() if isinstance(path, Member) else path, formats=formats)
    except Image.DecompressionBombError as error:
        found = next((word for word in str(error).split() if word.strip("(").isdecimal()), "too many").strip("(")
        raise TooLargeError(_too_large(f"{found} pixels")) from None
    except (UnidentifiedImageError, ValueError) as error:
        try:
            content = (Path(path) if isinstance(path, str) else path).read_bytes()
            image = Image.open(io.BytesIO(_without_metadata(content)), formats=formats)
        except (OSError, ValueError, SyntaxError):
            raise error from None
    if isinstance(image, TiffImageFile):
        image.filename = ""  # or Pillow would map it into memory, and misread it where it is grey and on its side
    if isinstance(image, PngImagePlugin.PngImageFile) and isinstance(clear := image.info.get("transparency"), int):
        image.info["transparency"] = clear * SCALE.get(str(image.tile[0][3]) if image.tile else "", 1)
    return image


def _prepare(path: str) -> None:
    """Load Pillow's formats, and that of ``path`` where it takes a package.

    Long texts in a PNG, which nobody reads here, are no reason to refuse its pixels.
    """
    Image.init()
    PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
    if path.lower().endswith((".heic", ".heif")):
        try:
            from pillow_heif import register_heif_opener  # type: ignore[import-not-found]
        except ImportError:
            raise ImportError("HEIC needs a package: pip install pillow-heif") from None
        register_heif_opener()


def check_bytes(num_bytes: int, path: ImageFile) -> None:
    """Compare the bytes that an image takes when decoded with what is allowed for RGB, and with the file's size.

    Raises:
        TooLargeError: it is too large; a small file of another reader than Pillow may inflate to all of the memory.
    """
    if num_bytes > max(6 * (Image.MAX_IMAGE_PIXELS or 2**40), 4 * size_of(path)):
        raise TooLargeError(_too_large(f"{num_bytes} bytes when decoded, {num_bytes // 3} pixels of RGB,"))


def _too_large(what: str) -> str:
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return f"{what} are more than --max_pixels {most} allows: where the file is to be trusted, use a larger one"


def _without_metadata(content: bytes) -> bytes:
    """Return a PNG or JPEG with nothing in it but what its pixels are made of; b"" for what is neither."""
    if content.startswith(PNG):
        return _pixels_of_png(content)
    return _pixels_of_jpeg(content) if content.startswith(JPEG) else b""


def _pixels_of_png(content: bytes) -> bytes:
    kept, at = [PNG], len(PNG)
    while at + 12 <= len(content):  # a chunk: length, name, content, checksum
        end = at + 12 + int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] in PIXELS:
            kept.append(content[at:end])
        at = end
    return b"".join(kept)


def _pixels_of_jpeg(content: bytes) -> bytes:
    kept, at = [content[:2]], 2
    while at + 4 <= len(content) and content[at] == 0xFF and content[at + 1] != 0xDA:  # a segment: marker, length
        end = at + 2 + int.from_bytes(content[at + 2 : at + 4], "big")
        if content[at + 1] not in TEXTS:
            kept.append(content[at:end])
        at = end
    return b"".join([*kept, content[at:]])  # from the first scan on
