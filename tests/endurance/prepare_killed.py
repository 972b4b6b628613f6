"""Kills `titok prepare` at random moments, runs it again, and compares what it leaves with an undisturbed run's bytes.

Not collected by pytest: it takes a minute or more. Kills alternate between the whole process group and the parent
alone, whose workers then have to end by themselves.

  python tests/endurance/prepare_killed.py                       20 kills at least, JSON on standard output
  python tests/endurance/prepare_killed.py --kills 200 --seed 7
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from data.miniature import Miniature, encoded, official, photographs  # noqa: E402

from titok.config.data import Preparation  # noqa: E402
from titok.config.data_jobs import DataJob  # noqa: E402
from titok.config.load import dump_yaml  # noqa: E402

STARTING = 0.25
"""Seconds in which a process only imports; few kills shall fall there."""


def main() -> None:
    """Runs until enough kills were survived; exit status 1 if any result differs."""
    options = parse_options()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = write_config(folder, noise() if options.synthetic else photographs(100))
        started = time.monotonic()
        run(config, folder / "expected", jobs=2)
        duration = time.monotonic() - started
        expected = contents(folder / "expected")
        found: dict[str, Any] = {
            "kills": 0,
            "results": 0,
            "different": 0,
            "left_by_kills": Counter(),
            "seed": options.seed,
        }
        while found["kills"] < options.kills:
            output = folder / f"result{found['results']}"
            for left in kill_until_done(config, output, duration, draw):
                found["kills"] += 1
                found["left_by_kills"][left] += 1
            found["results"] += 1
            found["different"] += contents(output) != expected
            shutil.rmtree(output)
    found |= {"files_compared": len(expected), "seconds_undisturbed": round(duration, 2)}
    print(json.dumps(found, indent=2))
    sys.exit(1 if found["different"] else 0)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="at least so many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    parser.add_argument("--synthetic", action="store_true", help="noise instead of photographs")
    return parser.parse_args()


def noise() -> Miniature:
    """As many images as the photographs."""
    wnids = [f"n{1440764 + 13 * number:08d}" for number in range(100)]
    train = {
        wnid: {f"{wnid}_{image}.JPEG": encoded(2 * number + image, size=(500, 375)) for image in range(2)}
        for number, wnid in enumerate(wnids)
    }
    return Miniature(train, [(wnid, encoded(number, size=(300, 200))) for number, wnid in enumerate(wnids)])


def write_config(folder: Path, images: Miniature) -> Path:
    """Archives and the resolved settings that read them."""
    config = folder / "data.yaml"
    dataset = Preparation(**official(folder / "source", images), shard_images=9)
    config.write_text(dump_yaml(DataJob(dataset=dataset)))
    return config


def kill_until_done(config: Path, output: Path, duration: float, draw: random.Random) -> Iterator[str]:
    """Runs, kills and runs again until a run ends by itself; yields what each kill left."""
    while True:
        jobs = draw.choice((1, 2, 3))
        process = start(config, output, jobs)
        try:
            process.wait(timeout=draw.uniform(STARTING, STARTING + duration / 2))
        except subprocess.TimeoutExpired:
            if draw.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()  # The next run starts beside workers that may not have noticed yet.
            process.wait()
            yield describe(output)
            continue
        if process.returncode:
            raise SystemExit(f"titok prepare ended with status {process.returncode}: {process.stderr.read()}")
        return


def start(config: Path, output: Path, jobs: int) -> subprocess.Popen[str]:
    """`titok prepare` as a process group of its own."""
    line = [sys.executable, "-m", "titok", "prepare", "--config", config, "--output", output, "--jobs", jobs]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([*map(str, line)], env=environment, start_new_session=True, **pipes)


def run(config: Path, output: Path, jobs: int) -> None:
    """One run to its end."""
    process = start(config, output, jobs)
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(said)


def describe(output: Path) -> str:
    """How far a killed run had come, in words that can be counted."""
    names = [path.name for path in output.rglob("*")]
    if any(".partial" in name for name in names):
        return "half-written files"
    indexes = sum(name.endswith(".index.npz") for name in names)
    if indexes:
        return "one split finished" if indexes == 1 else "both splits finished"
    if any(name.endswith(".tar") for name in names):
        return "some shards"
    return "a plan" if any(name.endswith("plan.json") for name in names) else "nothing"


def contents(output: Path) -> dict[str, bytes]:
    """Everything a preparation leaves, its workspace included."""
    return {str(path.relative_to(output)): path.read_bytes() for path in sorted(output.rglob("*")) if path.is_file()}


if __name__ == "__main__":
    main()
