"""A process that has imported everything, and copies of itself that run verbs: a job starts in milliseconds.

Importing torch takes 1 to 3 seconds of a CPU, as long as many jobs of a small study work. Where Snakemake runs its jobs
on this machine and no GPU is involved, its main process starts one server, and ``python -m titok VERB`` hands its
arguments, folder, environment and open files to a fork of it (the way of Python's own ``multiprocessing.forkserver``).
The numbers are those of a process of its own; of Snakemake's benchmark files only the seconds mean something. The
server lives as long as Snakemake and the jobs it runs; set TITOK_FORK_SERVER=off to do without.

Whoever talks to the server imports little, which is why only the standard library is used here, and that sparingly.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import select
import signal
import socket
import sys
import weakref
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from titok.runtime.signals import heeded

ADDRESS = "TITOK_FORK_SERVER"
PRELOADED = (
    *("train", "score", "score_probe", "score_throughput", "sample", "tokens", "codes", "report", "study", "prepare"),
    *("claims", "launch"),
)
"""Modules of titok.commands, with all that they import; verbs that no rule starts are imported when they are run."""
LATE = ("matplotlib.pyplot", "seaborn", "scipy.stats", "torch.utils.tensorboard", "torch._dynamo")
"""What verbs import while they work; every optimizer of torch's imports the compiler, which takes as long as torch."""


def can_serve() -> bool:
    """Whether this system has what the server needs, and the user did not switch it off."""
    return hasattr(os, "pidfd_open") and os.environ.get(ADDRESS) != "off"


def start_server(arithmetic: str) -> None:
    """Starts a server for this process's children, which find it by the environment; it ends after this process."""
    import subprocess  # here, for every job imports this module: a third of what that takes
    import tempfile

    address = str(Path(tempfile.mkdtemp(prefix="titok-")) / "socket")
    words = [sys.executable, "-m", "titok.runtime.fork_server", address, arithmetic]
    # The server notices the end of its standard input, a pipe that only this process holds. In a session of its own it
    # does not see the terminal's Ctrl-C, which is for the jobs.
    subprocess.Popen(words, stdin=subprocess.PIPE, start_new_session=True)
    os.environ[ADDRESS] = address


def run_by_server(arguments: list[str]) -> int | None:
    """Runs a verb in a fork of the server; its exit status, or None where there is no server.

    Signals are passed on, and if the verb dies of one, so does this process.
    """
    address = os.environ.get(ADDRESS, "off")
    if address == "off":
        return None
    connection = socket.socket(socket.AF_UNIX)
    order = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ), "umask": _umask()}
    files = array.array("i", [0, 1, 2])
    with connection:
        lines = connection.makefile("r")
        try:
            connection.connect(address)
            connection.sendmsg([_framed(order)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
            started = lines.readline()
        except OSError:
            started = ""
        if not started:  # it ended, or never came up; the verb has not begun
            return None
        worker = json.loads(started)["pid"]
        for number in heeded():
            signal.signal(number, lambda received, _: _kill(worker, received))
        ended = lines.readline()
    if not ended:
        sys.exit("titok: the fork server ended before the verb did; run the same command again")
    status: int = json.loads(ended)["status"]
    if status < 0:
        with suppress(OSError):  # that of SIGKILL cannot be changed
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status


class Job(NamedTuple):
    """A fork at work, and the connection to who asked for it."""

    pid: int
    handle: int
    connection: socket.socket


def serve(address: str) -> list[str]:
    """Forks for everyone who asks; returns, in each fork, the verb's arguments, and ends with whom it serves."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(512)
    _preload()
    poll = select.poll()
    jobs: dict[int, Job] = {}  # by the file descriptors of their handles and of their connections
    lifeline = sys.stdin.fileno()
    for descriptor in (listener.fileno(), lifeline):
        poll.register(descriptor, select.POLLIN)
    is_wanted = True
    while is_wanted or jobs:
        for descriptor, _ in poll.poll():
            if descriptor == lifeline:
                is_wanted = False
                poll.unregister(lifeline)
            elif descriptor == listener.fileno():
                connection = listener.accept()[0]
                order, files = _received(connection)
                if order is None:
                    continue
                pid = os.fork()
                if pid == 0:
                    for job in jobs.values():
                        job.connection.close()
                    connection.close()
                    listener.close()
                    return _become(order, files)
                for file in files:
                    os.close(file)
                job = Job(pid, os.pidfd_open(pid), connection)
                jobs[job.handle] = jobs[connection.fileno()] = job
                poll.register(job.handle, select.POLLIN)
                poll.register(connection, select.POLLIN)
                _tell(connection, {"pid": pid})
            elif descriptor in jobs:
                job = jobs[descriptor]
                if descriptor != job.handle:  # who asked is gone: nobody waits for the verb any more
                    poll.unregister(descriptor)
                    del jobs[descriptor]
                    _kill(job.pid, signal.SIGTERM)
                    continue
                status = os.waitstatus_to_exitcode(os.waitpid(job.pid, 0)[1])
                _tell(job.connection, {"status": status})
                poll.unregister(job.handle)
                if jobs.pop(job.connection.fileno(), None):
                    poll.unregister(job.connection)
                del jobs[job.handle]
                os.close(job.handle)
                job.connection.close()
    Path(address).unlink(missing_ok=True)
    Path(address).parent.rmdir()
    os._exit(0)  # nothing to tidy up; libraries that are taken apart say what they think of it


def _preload() -> None:
    for module in PRELOADED:
        import_module(f"titok.commands.{module}")
    for module in LATE:
        with suppress(ImportError):
            import_module(module)
    import_module("titok.cli").build_parser()  # kept for verbs that run in this folder
    # Kept, too: which code and packages these are. Forks run what was read here, whatever is edited meanwhile.
    import_module("titok.runtime.manifest").provenance(seed=None, config=None)
    # Where a fork ends there is nothing to take apart but what it made itself. The libraries' own finalizers (torch has
    # hundreds) would write to memory that is shared until then: 40 ms of CPU for every job.
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        finalizer.atexit = False
    # Forks share this process's memory until they write to it, and collecting garbage would write to all of it.
    gc.collect()
    gc.freeze()


def _become(order: dict[str, Any], files: list[int]) -> list[str]:
    """Turns a fork into the process that was asked for."""
    loaded_with = import_module("titok.runtime.arithmetic").chosen()
    os.environ.clear()
    os.environ.update(order["environment"])
    for name, value in loaded_with.items():  # whatever whoever asks has: the libraries here read theirs already
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for target, file in enumerate(files):
        os.dup2(file, target)
        os.close(file)
    os.chdir(order["folder"])
    os.umask(order["umask"])
    sys.argv = ["titok", *order["arguments"]]
    return order["arguments"]


def _received(connection: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """An order and the files that came with it; None if whoever sent it is gone."""
    data, ancillary, _, _ = connection.recvmsg(8, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    files = array.array("i")
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(payload)
    if len(data) < 8:
        connection.close()
        return None, []
    with connection.makefile("rb") as stream:
        return json.loads(stream.read(int.from_bytes(data, "big"))), list(files)


def _framed(order: dict[str, Any]) -> bytes:
    text = json.dumps(order).encode()
    return len(text).to_bytes(8, "big") + text


def _tell(connection: socket.socket, message: dict[str, int]) -> None:
    with suppress(OSError):  # who asked may be gone
        connection.sendall(json.dumps(message).encode() + b"\n")


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def main() -> None:
    """``python -m titok.runtime.fork_server ADDRESS ARITHMETIC``."""
    address, arithmetic = sys.argv[1:]
    import_module("titok.runtime.arithmetic").use(arithmetic)
    arguments = serve(address)
    _run(arguments)


def _run(arguments: list[str]) -> NoReturn:
    """Runs a verb to its end, in a fork."""
    status = 0
    try:
        with import_module("titok.runtime.logs").kept_unless_done():
            import_module("titok.cli").main(arguments)
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        if not isinstance(stop.code, int | None):
            print(stop.code, file=sys.stderr)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        status = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    # Python's own way out takes every imported module apart, which writes to all the memory that is shared.
    os._exit(status)


if __name__ == "__main__":
    main()
