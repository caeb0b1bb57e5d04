"""Open an image file by a decoder that is safe on files of strangers: the one place where Image.open is called."""

from pathlib import Path

from PIL import Image

# Not EPS, for which Pillow starts Ghostscript from PATH, whatever the file is called, nor what nobody trains on.
FORMATS = ("AVIF", "BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "QOI", "TIFF", "WEBP")


def open_image(path: str | Path) -> Image.Image:
    """Return an image, not yet decoded, of a format in ``FORMATS``.

    Raises:
        OSError, ValueError and others: damaged files make decoders raise errors of every kind.
    """
    Image.init()
    return Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])


def check_bytes(num_bytes: int, path: Path) -> None:
    """Compare the bytes that an image takes when decoded with what Pillow allows for RGB, and with the file's size.

    Raises:
        ValueError: it is too large; a small file of another reader than Pillow may inflate to all of the memory.
    """
    most = max(6 * (Image.MAX_IMAGE_PIXELS or 2**40), 4 * path.stat().st_size)
    if num_bytes > most:
        raise ValueError(f"{num_bytes} bytes when decoded, which is more than {most}: cut it into parts")
