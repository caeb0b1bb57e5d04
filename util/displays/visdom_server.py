"""A visdom server of a run's own, which only this machine can reach and which ends with the run."""

import socket
import subprocess
import sys
import time
from pathlib import Path

LOOPBACK = "127.0.0.1"
START_SECONDS = 15  # it takes one to three, more on a busy machine; one that cannot start ends at once

# Its main() is called rather than the visdom command, which first downloads the page's scripts and, where there is no
# network, ends there. It ends when its standard input does: with this process, however that ends.
CHILD = """
import os, sys, threading

def end_with_parent():
    sys.stdin.buffer.read()
    os._exit(0)

threading.Thread(target=end_with_parent, daemon=True).start()
from visdom.server.run_server import main
main()
"""


class VisdomServer:
    """A child process that serves visdom on the loopback address."""

    def __init__(self, port: int, folder: Path) -> None:
        """Start it; ``folder`` is for its log and for the windows it saves."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port
        self.log = folder / "server.log"
        options = f"-port {port} -bind_local -logging_level WARNING -env_path".split()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-c", CHILD, *options, str(folder.resolve())],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the run, which still has something to show
            )

    def wait(self) -> None:
        """Return once it answers.

        Raises:
            OSError: it has ended, or does not answer in time.
        """
        deadline = time.monotonic() + START_SECONDS
        while not is_listening(LOOPBACK, self.port):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                lines = self.log.read_text(errors="replace").split("\n")
                reason = next((line for line in reversed(lines) if line.strip()), "it does not answer")
                raise OSError(f"its server could not be started: {reason} (log: {self.log})")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.kill()  # it has nothing to finish: windows are saved by a request
        self.process.communicate()


def is_listening(host: str, port: int) -> bool:
    """Return whether anything accepts connections there."""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
