"""`python impatient.py WORD...` is `snakemake WORD...`, but asks Slurm every other second whether a job has ended.

The plugin waits ten seconds longer after every time that none has, and no setting of its keeps it from that.
"""

from __future__ import annotations

import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

SECONDS = 2


def shorten_pauses() -> None:
    """Between two questions to the cluster."""
    pauses = RemoteExecutor.next_seconds_between_status_checks
    RemoteExecutor.next_seconds_between_status_checks = property(
        pauses.fget, lambda executor, seconds: pauses.fset(executor, min(seconds, SECONDS))
    )


if __name__ == "__main__":
    sys.path[0] = ""  # as `python -m snakemake` has it
    shorten_pauses()
    main()
