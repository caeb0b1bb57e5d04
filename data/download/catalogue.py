"""The data sets that download.py knows: where they lie, how large they are, what may be done with them.

Sizes and checksums are those that TensorFlow Datasets and torchvision publish, or that several download logs agree on;
docs/datasets.md says which. None of the addresses could be tried where this was written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data.download import minis
from data.download.cifar import to_class_folders


@dataclass(frozen=True, kw_only=True)
class Remote:
    """One file of a data set."""

    urls: tuple[str, ...]  # the same file on several servers, in the order in which they are asked
    kind: Literal["zip", "tar.gz", "as it is"]
    size: int = 0  # bytes, 0 when not known
    checksum: str = ""  # such as "sha256:c4a3..." or "md5:...", "" when not known
    into: str = ""  # where in the data set's folder it, or what it holds, belongs; "": at its top

    @property
    def name(self) -> str:
        """The file's name."""
        return self.urls[0].rsplit("/", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One data set."""

    about: str  # one line: what the images show
    licence: str  # one line: what may be done with them
    files: tuple[Remote, ...] = ()
    folders: tuple[str, ...] = ()  # what must be there in the end
    rough_size: int = 0  # bytes to download where a file's size is not known exactly
    options: Mapping[str, object] = field(default_factory=dict)  # what its card.yaml sets
    convert: Callable[[Path], None] | None = None  # turns what was unpacked into files that data sets read
    by_hand: str = ""  # what the user must do, where no address may be given

    @property
    def size(self) -> int:
        """Bytes to download, 0 when not known."""
        return self.rough_size or sum(file.size for file in self.files)


def idx_files(bases: tuple[str, ...], known: tuple[tuple[int, str], ...]) -> tuple[Remote, ...]:
    """Return the four files of the MNIST family.

    Args:
        bases: addresses that end where the files' names begin.
        known: size and SHA-256 of each.
    """
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(
        Remote(
            urls=tuple(f"{base}/{name}-ubyte.gz" for base in bases),
            kind="as it is",
            size=size,
            checksum=f"sha256:{digest}",
            into="raw",
        )
        for name, (size, digest) in zip(names, known, strict=True)
    )


def rps_file(name: str, into: str, size: int, digest: str) -> Remote:
    """Return one of the two archives of rps; the set moved twice."""
    places = ("download.tensorflow.org/data", "learning-datasets", "laurencemoroney-blog.appspot.com")
    urls = tuple(f"https://storage.googleapis.com/{place}/{name}.zip" for place in places)
    return Remote(urls=urls, kind="zip", size=size, checksum=f"sha256:{digest}", into=into)


def berkeley(path: str, kind: Literal["zip", "tar.gz"], size: int, digest: str) -> tuple[Remote, ...]:
    """Return the archive of a set that the authors of CycleGAN and pix2pix serve.

    Their own scripts say http; https was reported broken in 2021 and in use since 2024, so it is tried first.
    """
    urls = tuple(f"{scheme}://efrosgans.eecs.berkeley.edu/{path}.{kind}" for scheme in ("https", "http"))
    return (Remote(urls=urls, kind=kind, size=size, checksum=f"sha256:{digest}" if digest else ""),)


def cyclegan(about: str, licence: str, name: str, size: int, digest: str) -> Entry:
    """Return a set of CycleGAN: trainA, trainB, testA, testB."""
    files = berkeley(f"cyclegan/datasets/{name}", "zip", size, digest)
    return Entry(about=about, licence=licence, files=files, folders=("trainA", "trainB", "testA", "testB"))


def pix2pix(about: str, licence: str, name: str, size: int = 0, rough_size: int = 0) -> Entry:
    """Return a set of pix2pix: train and val, of A|B pairs side by side in one file."""
    files = berkeley(f"pix2pix/datasets/{name}", "tar.gz", size, "")
    return Entry(about=about, licence=licence, files=files, folders=("train", "val"), rough_size=rough_size)


def mini(about: str, make: Callable[[Path], None]) -> Entry:
    """Return a small set that nothing is downloaded for."""
    return Entry(about=f"{about}, 64x64", licence=minis.LICENCE, options=minis.OPTIONS, convert=make)


CMP = "not stated; from the CMP Facade Database (Tylecek and Sara 2013), please cite it"
FLICKR = "not stated; photographs from Flickr, which belong to their photographers"
IMAGENET = "not stated; photographs from ImageNet, whose terms allow non-commercial research and education"
MAPS = "not stated; images from Google Maps, under Google's terms"
WIKIART = "not stated; paintings from WikiArt, photographs from Flickr, which belong to their photographers"

ENTRIES = {
    "mnist": Entry(
        about="handwritten digits in 10 classes, 28x28 grey, 60,000 training and 10,000 test images",
        licence="CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        files=idx_files(
            (
                "https://ossci-datasets.s3.amazonaws.com/mnist",
                "https://storage.googleapis.com/cvdf-datasets/mnist",
            ),
            (
                (9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
                (28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
                (1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
                (4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            ),
        ),
    ),
    "fashion_mnist": Entry(
        about="pieces of clothing in 10 classes, 28x28 grey, 60,000 training and 10,000 test images",
        licence="MIT, Zalando SE",
        files=idx_files(
            (
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
                "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
            ),
            (
                (26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
                (29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
                (4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                (5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            ),
        ),
    ),
    "cifar10": Entry(
        about="photographs in 10 classes, 32x32 colour, 50,000 training and 10,000 test images",
        licence="not stated; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        files=(
            Remote(
                urls=(  # the binary version: the other one is a pickle, which can run any code
                    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                    "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
                ),
                kind="tar.gz",
                size=170052171,
                checksum="sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
        ),
        folders=("train/airplane", "test/truck"),
        options={"image_size": 32, "flip": True},
        convert=to_class_folders,
    ),
    "celeba": Entry(
        about="202,599 faces of celebrities, 178x218 colour, with 40 attributes",
        licence="non-commercial research only; may not be copied, published or passed on",
        by_hand="its terms allow no copies elsewhere, and its makers hand it out through a browser: agree to them at "
        "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html, fetch Img/img_align_celeba.zip and unpack it into {folder}",
    ),
    "rps": Entry(
        about="rendered hands that show rock, paper or scissors on white, 300x300 colour, 2,520 training and 372 test "
        "images",
        licence="CC BY 2.0, Laurence Moroney",
        files=(
            rps_file("rps", "train", 200682221, "c2403444395842ad04c53612bad54b574443eae17a0723117a2ff87b9d72194f"),
            rps_file(
                "rps-test-set", "test", 29516758, "c27ab9fa43ce40b2e453de711365b477f4424586edf0388116674fd320f07503"
            ),
        ),
        folders=tuple(f"{split}/{name}" for split in ("train", "test") for name in ("paper", "rock", "scissors")),
        options={"flip": True},
    ),
    "facades": pix2pix(
        "photographs of facades (A) and their label maps (B), 256x256, 400 training and 106 test pairs",
        CMP,
        "facades",
        30168306,
    ),
    "maps": pix2pix(
        "satellite images (A) and maps (B) of New York, 600x600, 1,096 training pairs", MAPS, "maps", 250242400
    ),
    "edges2shoes": pix2pix(
        "edges (A) and photographs (B) of shoes, 256x256, 50,000 pairs",
        "academic, non-commercial use (UT Zappos50K)",
        "edges2shoes",
        rough_size=2_100_000_000,
    ),
    "edges2handbags": pix2pix(
        "edges (A) and photographs (B) of handbags, 256x256, 137,000 pairs",
        "not stated; photographs from Amazon, collected for iGAN (Zhu et al. 2016)",
        "edges2handbags",
        rough_size=8_600_000_000,
    ),
    "night2day": pix2pix(
        "the same place by night and by day, 256x256, about 20,000 pairs",
        "not stated; from the Transient Attributes data set (Laffont et al. 2014), please cite it",
        "night2day",
        rough_size=2_000_000_000,
    ),
    "cityscapes": Entry(
        about="photographs of streets and their label maps, 2,975 training pairs",
        licence="non-commercial; may not be passed on",
        by_hand="its licence allows no copies elsewhere: register at https://www.cityscapes-dataset.com, fetch "
        "gtFine_trainvaltest.zip and leftImg8bit_trainvaltest.zip, put the photographs (A) and the coloured labels (B) "
        "of each city under equal names, and join them with datasets/combine_A_and_B.py into {folder}",
    ),
    "apple2orange": cyclegan(
        "apples (A) and oranges (B), 256x256, 996 and 1,020 training images",
        IMAGENET,
        "apple2orange",
        78456409,
        "845a191e9af8926408ea597001cd03a452e3300a1f44a79fe329b3d59f6e3eb8",
    ),
    "summer2winter_yosemite": cyclegan(
        "Yosemite in summer (A) and in winter (B), 256x256, 1,273 and 854 training images",
        FLICKR,
        "summer2winter_yosemite",
        132640856,
        "167fe1726807a9d22bd106b4a6c0bd7953b688af924ac1bf967439c4961e49f9",
    ),
    "horse2zebra": cyclegan(
        "horses (A) and zebras (B), 256x256, 939 and 1,177 training images",
        IMAGENET,
        "horse2zebra",
        116867962,
        "a74d9d392eecca9966b51287a76ca126af473d9de4f3e8fc0e9cda08fa1730a1",
    ),
    "monet2photo": cyclegan(
        "paintings by Monet (A) and photographs of landscapes (B), 256x256, 1,074 and 6,853 training images",
        WIKIART,
        "monet2photo",
        305231073,
        "88f91b00fc228f97c9411fbf1880ec1d119c98f1722e4cfcfaa2fb35fac05b04",
    ),
    "cezanne2photo": cyclegan(
        "paintings by Cezanne (A) and photographs of landscapes (B), 256x256, 584 and 6,853 training images",
        WIKIART,
        "cezanne2photo",
        279885071,
        "3a6c10ca21f9485862f1cbd707744b9dc258954a04631271d23a3605eeb63cff",
    ),
    "ukiyoe2photo": cyclegan(
        "ukiyo-e prints (A) and photographs of landscapes (B), 256x256, 1,433 and 6,853 training images",
        WIKIART,
        "ukiyoe2photo",
        292946532,
        "02a2a2fb5ecf425ca1bf86aca7304377da64a2a1d3b86df54eb65e4068bf3b08",
    ),
    "vangogh2photo": cyclegan(
        "paintings by van Gogh (A) and photographs of landscapes (B), 256x256, 401 and 6,853 training images",
        WIKIART,
        "vangogh2photo",
        306590349,
        "362c3473e70be0944bda08d49d660eafdc2854df55d697835b8186d1d79caaff",
    ),
    "iphone2dslr_flower": cyclegan(
        "flowers taken with a telephone (A) and with a large camera (B), 1,813 and 3,316 training images",
        FLICKR,
        "iphone2dslr_flower",
        339964458,
        "8fcb5e374d631b107e1d961b8c4cd0a186aa2a4ff3e279923f4c426128de7113",
    ),
    "facades_unpaired": cyclegan(
        "facades as CycleGAN had it: the pairs of facades, taken apart",
        CMP,
        "facades",
        35135868,
        "9a31ebf3a31b9b5cd195dd5bf62e9308e00cb94604d1019e3889ac84248695c0",
    ),
    "maps_unpaired": cyclegan(
        "maps as CycleGAN had it: the pairs of maps, taken apart",
        MAPS,
        "maps",
        1476754427,
        "639534f69dbf9f36bef8d6292a7698006361221f83f0285d7c9ca78afe6e8a9e",
    ),
    "ae_photos": Entry(
        about="photographs that CycleGAN's authors try a style on; for testing only",
        licence="not stated",
        files=berkeley("cyclegan/datasets/ae_photos", "zip", 0, ""),
        rough_size=10_000_000,
    ),
    "grumpifycat": Entry(
        about="Russian blue cats (A) and Grumpy Cat (B), 256x256, 88 and 214 training images: CUT's first example",
        licence="not stated",
        files=berkeley("cyclegan/datasets/grumpifycat", "zip", 0, ""),
        folders=("trainA", "trainB"),
        rough_size=19_000_000,
    ),
    "mini": mini("20 emoji of Noto (A) and of Twemoji (B), to try CycleGAN and CUT", minis.make_collections),
    "mini_pix2pix": mini("20 pairs of emoji, Noto's and Twemoji's, to try pix2pix", minis.make_pairs),
    "mini_colorization": mini("20 emoji of Twemoji, to try colorization", minis.make_colours),
}
