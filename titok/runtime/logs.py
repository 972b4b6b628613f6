"""Logs of tries that did not end well, kept beside that of the last one.

Snakemake deletes a rule's log before every try of its job. A second name of the same file outlives that:

    logs/STUDY/RULE/JOB.log       the last try, or the one at work
    logs/STUDY/RULE/JOB.log.1     the first try that failed or was killed, and so on
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

KEPT = "TITOK_LOG_OF_TRY"
"""Variable with the second name, for the programs that this one becomes or starts: one try, one name."""


@contextlib.contextmanager
def kept_unless_done(folder: Path | None = None, descriptor: int = 2) -> Iterator[None]:
    """Gives the log that a descriptor writes to a second name, which goes when the block ends well.

    ``folder``: where logs are, by default ``logs`` of the working directory; whatever lies elsewhere is left alone, and
    so is a file system without hard links. A block that is left by ``exec`` leaves the name to the next program.
    """
    if KEPT not in os.environ:
        os.environ[KEPT] = str(_second_name(folder or Path.cwd() / "logs", descriptor) or "")
    yield
    if os.environ[KEPT] and os.environ.get("RANK", "0") == "0":
        Path(os.environ[KEPT]).unlink(missing_ok=True)


def _second_name(folder: Path, descriptor: int) -> Path | None:
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        log = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # where there is no /proc, one log has to do
        if log.suffix != ".log" or not log.is_relative_to(folder.resolve()):
            return None
        for number in itertools.count(1):
            name = log.with_name(f"{log.name}.{number}")
            with contextlib.suppress(FileExistsError):
                os.link(log, name)
                return name
    except OSError:
        pass
    return None
