"""For users of pytorch-CycleGAN-and-pix2pix and CUT: flags without effect here, and the options file beside weights."""

import re
from collections.abc import Sequence
from pathlib import Path

from util.config_file import Entry

RETIRED = {  # of train.py and test.py
    "display_ncols": "each kind of picture has its own row",
    "new_dataset_option": "it was an example; data/template_dataset.py shows how to declare options",
}
RETIRED_TRAIN = RETIRED | {
    "epoch": "--continue_train resumes from the latest state; --init_from RUN starts from the weights of a run",
    "load_iter": "--continue_train resumes from the latest state; --init_from RUN starts from the weights of a run",
    "update_html_freq": "the page always shows the newest pictures; --display_freq sets how often they are made",
    "display_winsize": "the page shows pictures at their own size, at least 64 pixels",
}
RETIRED_TEST = RETIRED | {
    "use_wandb": "results go to folders and a page",
    "wandb_project_name": "results go to folders and a page",
}

# Names from older versions and other projects -> the options that replace them; the first one that the script has is
# suggested. Case and dashes are ignored.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    "finesize": ("--crop_size", "--image_size"),
    "loadsize": ("--load_size", "--image_size"),
    "no_lsgan": ("--gan_mode vanilla",),
    "how_many": ("--num_test",),
    "ntest": ("--num_test",),
    "num_samples": ("--num_test",),
    "which_direction": ("--direction",),
    "which_model_netg": ("--netG",),
    "which_model_netd": ("--netD",),
    "which_epoch": ("--epoch", "--init_from"),
    "resize_or_crop": ("--preprocess",),
    "normg": ("--norm",),
    "normd": ("--norm",),
    "pretrained_name": ("--init_from",),
    "align_data": ("--dataset_mode aligned",),
    "batchsize": ("--batch_size",),
    "nthreads": ("--num_threads",),
    "num_workers": ("--num_threads",),
    "workers": ("--num_threads",),
    "identity": ("--lambda_identity",),
    "epochs": ("--n_epochs",),
    "num_epochs": ("--n_epochs",),
    "learning_rate": ("--lr",),
    "latent_dim": ("--nz",),
    "z_dim": ("--nz",),
    "img_size": ("--image_size", "--crop_size"),
    "resolution": ("--image_size", "--crop_size"),
    "size": ("--image_size", "--crop_size"),
    "resize": ("--image_size", "--load_size"),
    "ngpu": ("--device",),
    "image_size": ("--crop_size",),
    "crop_size": ("--image_size",),
    "load_size": ("--image_size",),
    "data": ("--dataroot",),
    "data_dir": ("--dataroot",),
    "data_path": ("--dataroot",),
    "dataset": ("--dataroot",),
    "outdir": ("--results_dir", "--checkpoints_dir"),
    "resume": ("--continue_train",),
    "gpu": ("--device",),
    "cuda": ("--device",),
    "classes": ("--labels",),
}

SWITCHES = {"True": True, "False": False}

# Switches that CUT reads with a value, as its launchers write them, and what it takes for yes and no.
OF_CUT = ("nce_idt", "flip_equivariance", "nce_includes_all_negatives_from_minibatch")
YES_OR_NO = dict.fromkeys(("true", "yes", "t", "y", "1"), "--") | dict.fromkeys(("false", "no", "f", "n", "0"), "--no_")


def spelled_out(argv: Sequence[str]) -> list[str]:
    """Return a command line of CUT as one of this program, any other as it is.

    ``--nce_idt False`` becomes ``--no_nce_idt``; ``--CUT_mode`` alone means ``--model cut``, which is CUT's default.
    """
    words = list[str]()
    for word in argv:
        name, _, value = word.partition("=")
        if value and name.removeprefix("--") in OF_CUT:
            words.append(name)
            word = value
        before = words[-1].removeprefix("--") if words else ""
        if before in OF_CUT and word.lower() in YES_OR_NO:
            words[-1] = YES_OR_NO[word.lower()] + before
        else:
            words.append(word)
    names = {word.partition("=")[0] for word in words}
    return ["--model", "cut", *words] if "--CUT_mode" in names and "--model" not in names else words


def read_options_table(path: Path) -> dict[str, Entry]:
    """Read a table with lines such as ``netG: unet_256   [default: resnet_9blocks]``; return {} if there is no file.

    Switches become true or false, and ``no_dropout: True`` is read as ``dropout: False``.
    """
    entries: dict[str, Entry] = {}
    if not path.exists():
        return entries
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if match := re.fullmatch(r"\s*(\w+): (.*?)\s*(\[default: .*\])?\s*", line):
            name, text = match[1], match[2]
            value = SWITCHES.get(text, text)
            if name.startswith("no_") and isinstance(value, bool):
                name, value = name.removeprefix("no_"), not value
            entries[name] = Entry(value, f"{path}, line {number}")
    return entries
