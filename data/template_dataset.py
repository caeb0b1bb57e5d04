"""A template to copy for a data set of your own: pairs of a grey image A and the colour image B it came from.

Save a copy as ``data/NAME_dataset.py``, rename the class, and ``--dataset_mode NAME`` finds it.
"""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from data import find_dataroot
from data.base_dataset import BaseDataset
from data.files.decode import decode_image
from data.files.image_paths import survey
from data.files.pair_folders import one_folder
from options import option
from util.types import DataSpec


class TemplateDataset(BaseDataset):
    """Every image of a folder, as B in colour and as A in grey."""

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseDataset.Options):
        image_size: int = option(64, help="height and width of the images, in pixels", min=4)  # an option of your own
        flip: bool = True  # another default for an option that every data set has

    opt: Options
    keys = ("A", "B")  # the images of one sample; a flip is the same for both

    def __init__(self, opt: Options) -> None:
        super().__init__(opt)
        root = find_dataroot(opt.dataroot)
        self.folder: Path = one_folder(root, opt.phase, "B")  # root/trainB, root/train or root itself
        self.names = self.take(self.folder, survey(self.folder))
        self.limit()
        self.spec = DataSpec(image_size=(opt.image_size, opt.image_size), input_nc=1, output_nc=3)

    def decode(self, key: str, index: int) -> Tensor:
        channels = self.spec.input_nc if key == "A" else self.spec.output_nc
        return decode_image(str(self.folder / self.names[index]), self.spec.image_size, channels)

    def files(self) -> list[Path]:
        return [self.folder / name for name in self.names]
