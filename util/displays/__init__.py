"""The displays of a run, by their names in ``--display``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from util.config_file import plain
from util.displays.display import Display
from util.displays.html_display import Options, TrainingPage
from util.displays.tensorboard_display import TensorBoardDisplay
from util.displays.visdom_display import VisdomDisplay
from util.displays.wandb_display import WandbDisplay

if TYPE_CHECKING:
    from options.train_options import TrainOptions


def create_displays(
    opt: "TrainOptions", sections: dict[str, dict[str, Any]], options: Options, commands: dict[str, str]
) -> list[Display]:
    """Make the displays that were asked for; what they need is imported when they start.

    Args:
        opt: of train.py.
        sections: all options as values.
        options: the same as texts, and whether they are not at their defaults.
        commands: how to resume this run, and to test it.
    """
    folder = Path(opt.run_dir)
    config = {section: {name: plain(value) for name, value in values.items()} for section, values in sections.items()}
    makers: dict[str, Callable[[], Display]] = {
        "html": lambda: TrainingPage(folder / "web", opt.name, options, commands),
        "visdom": lambda: VisdomDisplay(
            folder / "visdom",
            opt.name,
            options,
            url=opt.display_server,
            port=opt.display_port,
            env=opt.display_env,
            window=max(1, opt.display_id),
        ),
        "tensorboard": lambda: TensorBoardDisplay(folder / "tensorboard", options),
        "wandb": lambda: WandbDisplay(folder, opt.name, opt.wandb_project_name, config),
    }
    return [makers[name]() for name in opt.displays]
