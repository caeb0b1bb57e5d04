"""Fetch onnxruntime-web, which runs models in a browser, from the npm registry, once and checked.

    python scripts/onnxruntime_web.py          for scripts/export.py --format web, which otherwise does it by itself

Kept are the two files that a page needs, in datasets/.cache; the package itself has 33 MB.
"""

import sys
import tarfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from data.download.catalogue import Remote
from data.download.fetch import fetch
from data.files.dataroot import DATASETS
from util.console import one_line_errors
from util.export.web_page import ORT_SCRIPT, ORT_WASM
from util.files import written_whole

VERSION = "1.30.0"
PACKAGE = Remote(
    urls=(f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz",),
    kind="as it is",
    size=33_106_585,
    checksum="sha512:ab4cbe26baedba45d2cec05610c71c55fa97db92d19a8b171c5f8269126683ca590a5cdc57bb2f35ce2b298de32f4d956fb42644"
    "c0ecd528a0a91e025c07ca61",
)
FOLDER = DATASETS / ".cache" / f"onnxruntime-web-{VERSION}"


def find_ort(folder: Path = FOLDER) -> Path:
    """Return the folder with the files of onnxruntime-web, which are fetched if they are not there.

    Raises:
        ValueError: they cannot be fetched; the message says how to do without a network.
    """
    if all((folder / name).is_file() for name in (ORT_SCRIPT, ORT_WASM)):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / "package.tgz"
    try:
        fetch(PACKAGE, archive)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"onnxruntime-web cannot be fetched: {error}; where there is a network, npm pack onnxruntime-web@{VERSION} "
            "gets it: unpack that, and give its folder package/dist as --ort"
        ) from None
    with tarfile.open(archive) as package:
        for name in (ORT_SCRIPT, ORT_WASM):
            content = package.extractfile(f"package/dist/{name}")
            assert content, name
            with written_whole(folder / name) as file:
                file.write(content.read())
    archive.unlink()
    return folder


if __name__ == "__main__":
    with one_line_errors("onnxruntime_web.py", False, ValueError, OSError):
        print(f"onnxruntime-web {VERSION}: {find_ort()}")
