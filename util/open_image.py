"""Open an image file by a decoder that is safe on files of strangers: the one place where Image.open is called."""

from pathlib import Path

from PIL import Image, PngImagePlugin

# Not EPS, for which Pillow starts Ghostscript from PATH, whatever the file is called, nor what nobody trains on.
FORMATS = (
    *("AVIF", "BMP", "DIB", "GIF", "HEIF", "JPEG", "JPEG2000", "MPO", "PCX", "PNG", "PPM", "QOI", "SGI", "TGA", "TIFF"),
    "WEBP",
)


def open_image(path: str | Path) -> Image.Image:
    """Return an image, not yet decoded, of a format in ``FORMATS``.

    Raises:
        ImportError: the format takes a package that is not installed.
        OSError, ValueError and others: damaged files make decoders raise errors of every kind.
    """
    _prepare(str(path))
    return Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])


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


def check_bytes(num_bytes: int, path: Path) -> None:
    """Compare the bytes that an image takes when decoded with what Pillow allows for RGB, and with the file's size.

    Raises:
        ValueError: it is too large; a small file of another reader than Pillow may inflate to all of the memory.
    """
    most = max(6 * (Image.MAX_IMAGE_PIXELS or 2**40), 4 * path.stat().st_size)
    if num_bytes > most:
        raise ValueError(f"{num_bytes} bytes when decoded, which is more than {most}: cut it into parts")
