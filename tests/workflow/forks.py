"""Dry runs as forks of one process that has imported Snakemake, for importing it takes longer than most plans.

``python tests/workflow/forks.py`` reads orders from its standard input, a line of JSON each, and answers with the exit
status of a fork that was `snakemake WORD...` in the order's folder and environment. Torch is out of its reach from the
beginning: it starts with a path of modules on which stand-ins come first that raise an error.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

PRELOADED = ("snakemake.cli", "snakemake.workflow", "snakemake.linting.rules", "titok.evaluation.foreseen")
"""With all that they import: Snakemake, and what the Snakefile has of titok."""
PATIENCE = 600
"""Seconds after which a fork is ended."""


@cache
def server(path: str) -> subprocess.Popen[str]:
    """The process that forks for this one, with ``path`` as PYTHONPATH; it ends when its standard input does."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, __file__], env={**os.environ, "PYTHONPATH": path}, **pipes)


def forked(words: Sequence[str], folder: Path, environment: Mapping[str, str], said: Path) -> int:
    """`snakemake WORD...` in ``folder``, to its end; what it says is in the file ``said``. Returns the exit status."""
    forking = server(environment["PYTHONPATH"])
    assert forking.stdin is not None
    assert forking.stdout is not None
    order = {"words": list(words), "folder": str(folder), "environment": dict(environment), "said": str(said)}
    print(json.dumps(order), file=forking.stdin, flush=True)
    answer = forking.stdout.readline()
    assert answer, "the process that forks has ended"
    return int(answer)


def serve() -> None:
    """Forks for every order, one after the other."""
    for module in PRELOADED:
        import_module(module)
    gc.collect()
    gc.freeze()  # forks share this process's memory until they write to it
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(words: list[str], folder: str, environment: dict[str, str], said: str) -> NoReturn:
    """Turns a fork into what was asked for."""
    signal.alarm(PATIENCE)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = ""  # as `python -m snakemake` has it
    sys.argv = ["snakemake", *words]
    files = os.open(os.devnull, os.O_RDONLY), os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, file in ((0, files[0]), (1, files[1]), (2, files[1])):
        os.dup2(file, number)
    status = 1
    try:
        import_module("snakemake.cli").main(words)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException:
        sys.excepthook(*sys.exc_info())
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()
