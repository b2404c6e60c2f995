"""A whole command in a fresh process: how long it takes, and the most memory that it holds."""

import os
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

#: The command line of this project, from a checkout as from an installed package.
SCRATCHGAN = ("-c", "from scratchgan.cli import main; main()")


class Spent(NamedTuple):
    """The time and memory that a command took."""

    seconds: float
    bytes: int  #: Peak of resident memory.
    output: str


def run(*arguments: str, **environment: str) -> Spent:
    """Run ``python *arguments`` to its end.

    The caller should hold little memory: until it becomes another program, a new process counts
    as its own what the one that starts it holds.

    Raises:
        RuntimeError: It failed; the message is what it wrote to stderr.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=os.environ | environment,
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(arguments)} failed:\n{errors.read()}")
        unit = 1 if sys.platform == "darwin" else 1024
        return Spent(seconds, usage.ru_maxrss * unit, output.read())
