"""A template to copy for a model of your own: a network that learns to turn A into B by regression.

Save a copy as ``models/NAME_model.py``, rename the class, and ``--model NAME`` finds it.
"""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import l1_loss

from models.base_model import BaseModel, Terms
from options import option
from util.types import Batch, DataSpec, Losses, Visuals, Weighted


class TemplateModel(BaseModel):
    """L1 regression from A to B."""

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseModel.Options):  # this model's flags
        lr: float = 1e-3  # another default for an option that every model has
        ngf: int = option(32, help="channels of the hidden layers", min=1)
        lambda_regression: float = option(1.0, help="weight of the regression loss", min=0)

    opt: Options
    needs = ("A", "B")  # what a batch must hold
    dataset_mode = "template"  # the data set class that gives A and B
    defaults: ClassVar = {
        "n_epochs": 10,
        "n_epochs_decay": 10,
        "batch_size": 16,
    }  # for options of train.py

    def __init__(self, opt: Options, spec: DataSpec) -> None:
        super().__init__(opt, spec)
        self.netG = nn.Sequential(  # every attribute netX is saved, loaded and moved for you
            nn.Conv2d(spec.input_nc, opt.ngf, 5, padding=2),
            nn.ReLU(True),
            nn.Conv2d(opt.ngf, opt.ngf, 3, padding=1),
            nn.ReLU(True),
            nn.Conv2d(opt.ngf, spec.output_nc, 3, padding=1),
            nn.Tanh(),
        )
        self.optimizers = {"G": self.create_optimizer(self.netG)}

    def optimize_parameters(self, batch: Batch, step: int) -> Losses:
        return self.minimize("G", self.loss_G, batch)  # what is returned is what is logged

    def loss_G(self, batch: Batch) -> Terms:
        return {"regression": Weighted(l1_loss(self.netG(batch["A"]), batch["B"]), self.opt.lambda_regression)}

    def forward(self, batch: Batch) -> Visuals:
        return {"real_A": batch["A"], "fake_B": self.netG(batch["A"]), "real_B": batch["B"]}

    def translate(self, images: Tensor) -> Tensor:
        """Return B for A: float (N, C, H, W) in [-1, 1]."""
        return self.netG(images)
