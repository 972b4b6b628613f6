"""``titok launch``: gives a verb its GPUs, and starts a training once for each of them, here or on several machines.

Each layer replaces itself by the next, so that signals reach the one that works and nothing stands in between:

    inside a Slurm job      srun: one `titok launch` on each machine, as a step of the job
    several processes       torchrun: one `titok train` for each GPU
    otherwise               the verb itself

A step of its own is what makes Slurm's signals (time limit, preemption, scancel) arrive: they go to the first process
of each step, and that of the job's own step is Snakemake, which does not pass them on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from typing import NamedTuple

from titok.errors import MachineError
from titok.runtime.gpus import VISIBLE, some_gpus, take_gpus
from titok.runtime.signals import heeded

SHUTDOWN_SECONDS = 240
"""How long torchrun waits for processes that are saving; Slurm may not wait that long (KillWait)."""


class Start(NamedTuple):
    """A program to become, and the variables to set for it."""

    words: list[str]
    variables: dict[str, str]


def launch(options: argparse.Namespace) -> None:
    """Becomes what the options and the place call for."""
    if options.verb[:1] == ["--"]:
        del options.verb[0]
    if not options.verb:
        raise MachineError("titok launch needs another verb and its options; see titok launch --help")
    if options.srun:
        start = Start(step_of_slurm(options), {})
    else:
        gpus = some_gpus(options.gpus) if options.in_step else take_gpus(options.gpus)
        start = processes(options, gpus, os.environ)
        if options.gpus:
            idle = ", which it leaves idle (--device cpu)" if options.device == "cpu" else ""
            print(f"This job has {len(gpus)} GPU(s), {VISIBLE}={start.variables[VISIBLE]}{idle}", file=sys.stderr)
    os.environ.update(start.variables)
    sys.stderr.flush()
    if start.words[:3] == [sys.executable, "-m", "titok"]:
        # Nothing that reads these variables was imported yet, so this process will do.
        from titok.cli import main

        main(start.words[3:])
    else:
        os.execvp(start.words[0], start.words)


def step_of_slurm(options: argparse.Namespace) -> list[str]:
    """The command line of a job step that runs `titok launch` once on each machine of the job."""
    again = [sys.executable, "-m", "titok", "launch", "--in-step"]
    again += ["--gpus", str(options.gpus), "--nodes", str(options.nodes), "--cpus", str(options.cpus)]
    again += ["--device", options.device]
    again += [f"--stage-to={options.stage_to}"] if options.stage_to else []
    step = ["srun", "--overlap", f"--nodes={options.nodes}", f"--ntasks={options.nodes}", "--ntasks-per-node=1"]
    step += [f"--cpus-per-task={options.cpus}", "--kill-on-bad-exit=0"]
    if options.gpus:
        step.append(f"--gres=gpu:{options.gpus}")
    return [*step, *again, "--", *options.verb]


def processes(options: argparse.Namespace, gpus: list[str], environment: Mapping[str, str]) -> Start:
    """One process of the verb for each GPU, at least one.

    Raises:
        MachineError: several processes of a verb that works alone.
    """
    count = max(len(gpus), 1)
    here = {VISIBLE: ",".join(gpus)}
    machines = options.nodes if options.in_step else 1
    if count * machines > 1 and options.verb[0] != "train":
        raise MachineError(
            f"titok {options.verb[0]} works in one process, but {machines} x {count} were asked for; set nodes and "
            f"gpus of its kind to 1 in the study's resources"
        )
    line = ["-m", "titok", *options.verb, *(_device(options) if gpus else ()), *_staging(options)]
    if count * machines == 1:
        return Start([sys.executable, *line], here)
    # Threads that a process may use are its share of the cores; torchrun would say 1.
    here["OMP_NUM_THREADS"] = str(max(min(options.cpus, len(os.sched_getaffinity(0))) // count, 1))
    here["TORCH_ELASTIC_SHUTDOWN_TIMEOUT"] = str(SHUTDOWN_SECONDS)
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={count}"]
    # An option, for torchrun overwrites the variable of this meaning. Of what is not named here it dies, alone.
    torchrun.append(f"--signals-to-handle={','.join(number.name for number in (*heeded(), signal.SIGQUIT))}")
    torchrun += _meeting(machines, environment) if machines > 1 else ["--standalone"]
    return Start([*torchrun, *line], here)


def _device(options: argparse.Namespace) -> list[str]:
    """What a verb is told to compute on, if it computes and was not told already: without that it takes what there is.

    A GPU that cannot be used (an old driver, say) must not become a week of training on a CPU.
    """
    from titok.cli import build_parser  # which knows all verbs, this one too

    computes = getattr(build_parser().parse_args(options.verb), "device", None) == "auto"
    is_told = any(word.startswith("--de") and "--device".startswith(word.partition("=")[0]) for word in options.verb)
    return ["--device", options.device] if computes and not is_told else []


def _staging(options: argparse.Namespace) -> list[str]:
    """Where a training copies its images first, if it has any and was not told already."""
    if options.stage_to is None:
        return []
    from titok.cli import build_parser

    told = build_parser().parse_args(options.verb)
    reads = getattr(told, "data", None) is not None and getattr(told, "stage_to", "") is None
    return [f"--stage-to={options.stage_to}"] if reads else []


def _meeting(machines: int, environment: Mapping[str, str]) -> list[str]:
    """Where the launchers of a job step find each other: on the machine whose srun started them, the job's first."""
    port = 20_000 + int(environment["SLURM_JOB_ID"]) % 10_000  # jobs on one machine must not meet each other
    return [
        f"--nnodes={machines}",
        f"--node-rank={environment['SLURM_NODEID']}",
        f"--master-addr={environment['SLURM_LAUNCH_NODE_IPADDR']}",
        f"--master-port={port}",
    ]
