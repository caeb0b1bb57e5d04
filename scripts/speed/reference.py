"""Which reference step belongs to a model."""

from models.adversarial import AdversarialModel
from models.base_model import BaseModel
from scripts.speed.reference_cut import CUTStep
from scripts.speed.reference_steps import ClippedStep, CVAEGANStep, NoiseStep, ReferenceStep, TwiceDrawnStep
from scripts.speed.reference_translation import CycleGANStep, Pix2PixStep, TemplateStep

STEPS: dict[str, type[ReferenceStep]] = {
    "gan": NoiseStep,
    "dcgan": NoiseStep,
    "cgan": TwiceDrawnStep,
    "wgan": ClippedStep,
    "wgan_gp": TwiceDrawnStep,
    "cvae_gan": CVAEGANStep,
    "pix2pix": Pix2PixStep,
    "colorization": Pix2PixStep,
    "cycle_gan": CycleGANStep,
    "cut": CUTStep,
    "template": TemplateStep,
}
OURS_ALONE = (
    "diffaugment",
    "instance_noise",
    "label_smoothing",
    "lambda_mismatch",
    "r1_gamma",
    "r2_gamma",
    "nce_includes_all_negatives_from_minibatch",
)


def create_reference(name: str, model: BaseModel) -> ReferenceStep:
    """Return the reference's step for ``--model name``, with the networks of ``model`` as they are.

    Raises:
        ValueError: there is none, or none with these options.
    """
    if name not in STEPS:
        raise ValueError(
            f"--model {name}: the reference has no step of it (known: {', '.join(STEPS)}); "
            "--against FOLDER times another checkout instead"
        )
    extra = [option for option in OURS_ALONE if getattr(model.opt, option, None)]
    if isinstance(model, AdversarialModel):
        extra += ["gan_mode"] * model.gan.compares + ["penalty_freq"] * (model.opt.penalty_freq > 1)
    if extra:
        raise ValueError(f"--{extra[0]}: the reference has no such loss; leave it out, or time it by --against FOLDER")
    return STEPS[name](model)
