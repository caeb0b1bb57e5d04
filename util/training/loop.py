"""The training loop."""

from typing import TYPE_CHECKING

from tqdm import tqdm

from util.profiling import labelled
from util.seeding import STEP, seed_all
from util.training.schedule import lr_factor
from util.types import Batch

if TYPE_CHECKING:
    from data.loading.loader import Loader
    from models.step.stepper import Stepper
    from util.training.run import Run


def train_model(run: "Run", loader: "Loader", stepper: "Stepper", preview: Batch) -> None:
    """Train the epochs that are left, until ``--early_stop`` has seen enough or a signal asks to stop.

    Args:
        run: what a run keeps beside its model; open.
        loader: yields the batches of any epoch from any step on.
        stepper: takes the steps.
        preview: a batch of the data, the same during the whole run, from which pictures are made.

    Raises:
        FloatingPointError: training diverged, and ``--on_nan`` does not go back, or has gone back too often.
        SystemExit: a signal came; everything is saved.
    """
    opt, at, model = run.opt, run.progress, run.model
    saver, reporter, measuring = run.saver, run.reporter, run.measuring
    run.begin(len(loader), stepper, preview)

    while at.epoch <= opt.total_epochs and not measuring.is_enough:
        try:
            factor = lr_factor(opt.lr_policy, at.epoch, opt.n_epochs, opt.n_epochs_decay, opt.lr_decay_iters)
            factor *= measuring.plateau.factor * run.divergence.factor
            model.scale_lr(factor)
            model.schedule((at.epoch - 1) / opt.total_epochs)
            reporter.begin_epoch(at)
            run.clock.start(at)

            for batch in run.clock.timed(labelled(loader.epoch(at.epoch, first=at.epoch_step))):
                at.advance(run.step_images)
                # So that a step's random numbers do not depend on what came before.
                seed_all(opt.seed, STEP, at.step, *run.own_key)

                with run.watched_step():
                    losses = stepper(batch, at.step)

                run.meter.count(losses)
                reporter.bar.update(run.step_images)
                if at.due(opt.print_freq):
                    run.report()  # the only place where the device is waited for
                if at.due(opt.display_freq):
                    reporter.pictures(at, run.grids(batch))
                if measuring.due(at):
                    with measuring.timed(), run.clock.paused():
                        measured = run.measure()
                        reporter.metrics(at, measured, measuring.best)
                        if measured.is_best:
                            saver.save("best")  # with the state, which must know of these networks
                        if measuring.is_enough:
                            saver.save()
                            tqdm.write(measuring.verdict)
                if at.due(opt.save_latest_freq):
                    saver.save(*[f"iter_{at.images}"] * opt.save_by_iter)
                if measuring.is_enough:
                    break
                if run.is_to_stop():
                    run.leave()
            else:
                run.report()
                means = run.meter.epoch()
                measuring.end_epoch(means, model.watched)
                reporter.end_epoch(at, means, factor)
                reporter.pictures(at, run.grids(preview))
                is_numbered = bool(opt.save_epoch_freq) and at.epoch % opt.save_epoch_freq == 0
                at.epoch, at.epoch_step = at.epoch + 1, 0
                if is_numbered or at.epoch > opt.total_epochs:
                    saver.save(*[str(at.epoch - 1)] * is_numbered)
                if run.is_to_stop():
                    run.leave()
        except FloatingPointError as error:
            run.go_back(error)
    run.end()
