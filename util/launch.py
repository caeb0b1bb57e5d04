"""Start the processes that train one model together, for ``--num_processes``; torchrun does the same from outside."""

import logging
import os
import uuid
from collections.abc import Callable
from typing import Any


def launch(work: Callable[..., object], num: int, *arguments: Any) -> None:
    """Call ``work(*arguments)`` in ``num`` processes on this machine, each with torchrun's environment variables.

    Raises:
        SystemExit: one of them ended with another status than 0, and has said why; or a signal came.
    """
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=num,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
        monitor_interval=0.1,
        start_method="spawn",
        logs_specs=DefaultLogsSpecs(),
    )
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # and by one line, not by torch's call stack
    logging.disable(logging.CRITICAL)  # what went wrong is told by the process itself
    try:
        elastic_launch(config, work)(*arguments)
    except ChildFailedError as error:
        status = error.get_first_failure()[1].exitcode
        raise SystemExit(status if status > 0 else 128 - status) from None
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    finally:
        logging.disable(logging.NOTSET)
