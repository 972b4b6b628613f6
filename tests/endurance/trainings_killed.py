"""Kills trainings of every task at random moments and compares their final weights with unbroken runs, bit for bit.

Not collected by pytest: it takes some minutes. Processes are forked and killed by SIGKILL at any moment from their
first to their last instruction, alone and in pairs (of which one is killed). After that come the other accidents: a
checkpoint cut at a random length, a disk that is full, a directory that cannot be written, two trainings in one place.

  python tests/endurance/trainings_killed.py                    100 kills, JSON on standard output
  python tests/endurance/trainings_killed.py --kills 500 --seed 7
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from training.several import in_processes  # noqa: E402
from training.tiny import TASKS, build  # noqa: E402

from titok.runtime.manifest import provenance  # noqa: E402
from titok.runtime.processes import place  # noqa: E402
from titok.runtime.weights import load_model  # noqa: E402
from titok.training.checkpoint import CheckpointError, DamagedCheckpointWarning  # noqa: E402
from titok.training.loop import train  # noqa: E402

STEPS = 60
PAIRS = ("single_stage_vq", "alit_stage2")
"""Tasks of two processes: one of a model and its adversary, one whose adversaries' norms look at all processes."""
FORK = multiprocessing.get_context("fork")


def main() -> None:
    """Kills until all tasks had their share; exit status 1 if any weights differ or an accident went unnoticed."""
    options = parse_options()
    torch.set_num_threads(1)
    draw = random.Random(options.seed)
    names = sorted(TASKS)
    found: dict[str, Any] = {"kills": Counter(), "runs": 0, "different": 0, "restarts_from_step_0": 0}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        share = -(-options.kills // (len(names) + len(PAIRS)))
        for task in names:
            survive(task, 1, share, folder / task, draw, found)
        for task in PAIRS:
            survive(task, 2, share, folder / f"{task}-pair", draw, found)
        accidents = {
            test.__name__: test(folder / test.__name__, draw)
            for test in (cut_checkpoints, full_disk, unwritable_directory, two_trainings)
        }
    result = {**found, "kills_in_all": sum(found["kills"].values()), "accidents": accidents, "seed": options.seed}
    machine = provenance(seed=options.seed, config=None)["machine"]
    print(json.dumps({**result, "steps": STEPS, "torch": torch.__version__, "machine": machine}, indent=2))
    sys.exit(1 if found["different"] or not all(accident["right"] for accident in accidents.values()) else 0)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="at least so many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    return parser.parse_args()


def work(task: str, folder: Path, steps: int = STEPS) -> None:
    """Trains, or goes on training, a tiny task that saves after every step."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    built = build(task, steps, place=asdict(place()) if task != "probe" else None, checkpoint_seconds=0, log_every=5)
    folders = {"state_dir": folder / "state", "output_dir": folder}
    train(built.task, built.batches, built.settings, seed=3, config={"task": task}, **folders)


def in_fork(run: Callable[[], None]) -> Any:
    """A process that does ``run``."""
    process = FORK.Process(target=run)
    process.start()
    return process


def survive(task: str, processes: int, kills: int, folder: Path, draw: random.Random, found: dict[str, Any]) -> None:
    """Kills runs of ``task`` at random moments until ``kills`` fell, each run until it is done."""
    begin = time.monotonic()
    start(task, processes, folder / "whole").join()
    duration = time.monotonic() - begin
    expected = load_model(folder / "whole")[0]
    count = 0
    while count < kills:
        run = folder / f"run{found['runs']}"
        while True:
            process = start(task, processes, run)
            process.join(draw.uniform(0, duration))
            if process.is_alive():
                kill(process, draw)
                count += 1
                found["kills"][task if processes == 1 else f"{task} in {processes} processes"] += 1
                found["restarts_from_step_0"] += not list((run / "state").glob("step-*.pt"))
            elif process.exitcode == 0:
                break
        weights = load_model(run)[0]
        found["runs"] += 1
        found["different"] += not all(torch.equal(expected[key], weights[key]) for key in expected)


def start(task: str, processes: int, folder: Path) -> Any:
    """One process that trains, or one that starts several and waits for them."""
    if processes == 1:
        return in_fork(lambda: work(task, folder))

    def together() -> None:
        os.setpgid(0, 0)
        codes = in_processes(processes, lambda: work(task, folder), timeout_seconds=20)
        sys.exit(0 if codes == [0] * processes else 1)

    return in_fork(together)


def kill(process: Any, draw: random.Random) -> None:
    """SIGKILL; of several processes to one, whose death the others have to notice."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(draw.choice(children)) if children else process.pid, signal.SIGKILL)
    process.join(60)
    if process.is_alive():
        os.killpg(process.pid, signal.SIGKILL)
        raise SystemExit("the other processes did not notice that one was killed")


def cut_checkpoints(folder: Path, draw: random.Random) -> dict[str, Any]:
    """The newest checkpoint loses its end, by a random number of bytes: the one before is used, and said so."""
    in_fork(lambda: work("stage1", folder / "whole")).join()
    expected = load_model(folder / "whole")[0]
    cuts = warned = equal = 0
    while cuts < 10:
        run = folder / str(cuts)
        process = in_fork(lambda run=run: work("stage1", run))
        while len(list((run / "state").glob("step-*.pt"))) < 2:
            time.sleep(0.01)
        process.kill()
        process.join()
        newest = max((run / "state").glob("step-*.pt"))
        os.truncate(newest, draw.randrange(newest.stat().st_size))
        built = build("stage1", STEPS, checkpoint_seconds=0, log_every=5)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            folders = {"state_dir": run / "state", "output_dir": run}
            train(built.task, built.batches, built.settings, seed=3, config={"task": "stage1"}, **folders)
        cuts += 1
        warned += any(w.category is DamagedCheckpointWarning and newest.name in str(w.message) for w in caught)
        found = load_model(run)[0]
        equal += all(torch.equal(expected[key], found[key]) for key in expected)
    return {"cuts": cuts, "warned": warned, "equal": equal, "right": warned == equal == cuts}


def full_disk(folder: Path, draw: random.Random) -> dict[str, Any]:
    """No file may grow beyond a limit, as on a full disk: the run ends with an error and goes on when there is room."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        work("stage1", folder / "run")

    process = in_fork(limited)
    process.join()
    half_files = [path.name for path in (folder / "run").rglob("*.pt")]
    for name in ("run", "whole"):
        in_fork(lambda name=name: work("stage1", folder / name)).join()
    expected, found = (load_model(folder / name)[0] for name in ("whole", "run"))
    equal = all(torch.equal(expected[key], found[key]) for key in expected)
    right = process.exitcode != 0 and not half_files and equal
    return {"exit_status": process.exitcode, "half_files": half_files, "equal_afterwards": equal, "right": right}


def unwritable_directory(folder: Path, draw: random.Random) -> dict[str, Any]:
    """A place for the state that this user may only read: an error at once that names it."""
    folder.mkdir(mode=0o755, parents=True)
    built = build("stage1")
    said = folder.with_suffix(".error")

    def as_nobody() -> None:
        said.touch(mode=0o666)
        said.chmod(0o666)
        folder.chmod(0o555)
        if os.getuid() == 0:  # root may write anywhere
            os.setgid(65534)
            os.setuid(65534)
        try:
            folders = {"state_dir": folder / "state", "output_dir": folder}
            train(built.task, built.batches, built.settings, seed=3, config={}, **folders)
        except CheckpointError as error:
            said.write_text(str(error))

    folder.parent.chmod(0o755)
    in_fork(as_nobody).join()
    message = said.read_text()
    return {"error": message.replace(str(folder), "DIR"), "right": f"{folder}/state cannot be written" in message}


def two_trainings(folder: Path, draw: random.Random) -> dict[str, Any]:
    """A second training in a place that is in use is refused, and the first one goes on."""
    first = in_fork(lambda: work("single_stage_vq", folder, 2000))
    while not list((folder / "state").glob("step-*.pt")):
        time.sleep(0.05)
    message = ""
    built = build("single_stage_vq", 2000, checkpoint_seconds=0, log_every=5)
    try:
        folders = {"state_dir": folder / "state", "output_dir": folder}
        train(built.task, built.batches, built.settings, seed=3, config={"task": "single_stage_vq"}, **folders)
    except CheckpointError as error:
        message = str(error)
    alive = first.is_alive()
    first.kill()
    first.join()
    return {"error": message.replace(str(folder), "DIR"), "right": alive and "is in use by another" in message}


if __name__ == "__main__":
    main()
