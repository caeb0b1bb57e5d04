"""Colorization: pix2pix (arXiv:1611.07004, Sec. 4.2) from the lightness of an image to its colours."""

from models.pix2pix_model import Pix2PixModel
from util.color import lab_to_rgb
from util.types import Batch, Visuals


class ColorizationModel(Pix2PixModel):
    """pix2pix whose A is L and whose B is a and b of the CIELAB colour space; what it shows is RGB."""

    dataset_mode = "colorization"

    def forward(self, batch: Batch) -> Visuals:
        real_A, real_B = batch["A"], batch["B"]
        return {
            "real_A": real_A,
            "real_B_rgb": lab_to_rgb(real_A, real_B),
            "fake_B_rgb": lab_to_rgb(real_A, self.translate(real_A)),
        }
