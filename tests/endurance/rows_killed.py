"""Kills a verb that stores rows of images at random moments, runs it again, and compares with an undisturbed run.

`titok codes extract`, `titok tokens` and `titok score probe`, which keep codes, tokens and features in one kind
of file. Not collected by pytest: it takes some minutes. Kills fall on any moment from the first import to the last byte
of the last file; every second one lets the workers of the killed process find out by themselves.

  python tests/endurance/rows_killed.py                              codes, 20 kills at least, JSON on standard output
  python tests/endurance/rows_killed.py --rows probe --kills 200 --seed 7
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
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import torch  # noqa: E402
from data.code_toys import DATASET, VQGAN_MODEL, write_photographs  # noqa: E402

from titok.config.data_jobs import CodesJob, TokensJob  # noqa: E402
from titok.config.job import Job  # noqa: E402
from titok.config.load import dump_yaml  # noqa: E402
from titok.config.measuring_jobs import ProbeJob  # noqa: E402
from titok.config.probe import LinearProbe  # noqa: E402
from titok.config.training import Schedule  # noqa: E402
from titok.config.views import StoredCodes, ViewSet  # noqa: E402
from titok.models.vqgan import VQGAN  # noqa: E402
from titok.runtime.files import sha256_file  # noqa: E402
from titok.runtime.weights import save_model  # noqa: E402

VIEWS = ViewSet(crops="five", mirrored=True, random_crops=2)
CODES = StoredCodes(views=VIEWS, part_images=50)
PROBE = LinearProbe(steps=20, batch_size=64, views=VIEWS, schedule=Schedule(warmup_steps=0))
JOBS: dict[str, Job] = {
    "codes": CodesJob(dataset=DATASET, codes=CODES),
    "tokens": TokensJob(dataset=DATASET, views=VIEWS),
    "probe": ProbeJob(study="killed", dataset=DATASET, batch_size=64, probe=PROBE),
}
OUTPUTS = {"codes": "train.npy", "tokens": "train.npz", "probe": "score.json"}
IMAGES = {"codes": 1500, "tokens": 2500, "probe": 2500}
"""Of tokens and features, whose parts have 1,024 images, there are more."""


class Extraction(NamedTuple):
    """One set of inputs; every run of it should end with the same bytes."""

    rows: str
    config: Path
    data: Path
    model: Path

    def start(self, output: Path, workers: int) -> subprocess.Popen[str]:
        """The verb as a process group of its own; its files are in the folder of ``output``."""
        verbs = {
            "codes": ["codes", "extract", "--data", self.data, "--vqgan", self.model],
            "tokens": ["tokens", "--data", self.data, "--tokenizer", self.model],
            "probe": ["score", "probe", "--train", self.data, "--test", self.data, "--model", self.model],
        }
        line = [sys.executable, "-m", "titok", *verbs[self.rows], "--config", self.config]
        if self.rows == "probe":
            line += ["--state", output.parent / "state", "--subject", '{"tokenizer": "killed", "seed": 0}']
        line += ["--output", output, "--workers", workers, "--device", "cpu"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([*map(str, line)], env=environment, start_new_session=True, **pipes)


def main() -> None:
    """Runs until enough kills were survived; exit status 1 if any result differs or a finished part was made again."""
    options = parse_options()
    draw = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        extraction = prepare(folder, options.rows)
        name = OUTPUTS[options.rows]
        expected_file = folder / "expected" / name
        starting, duration = undisturbed(extraction, expected_file)
        expected = sums(expected_file)
        found: dict[str, Any] = {
            "kills": 0,
            "results": 0,
            "different": 0,
            "parts_made_again": 0,
            "left_by_kills": Counter(),
        }
        while found["kills"] < options.kills:
            output = folder / f"result{found['results']}" / name
            for left, repeated in kill_until_done(extraction, output, starting, duration, draw):
                found["kills"] += 1
                found["parts_made_again"] += repeated
                found["left_by_kills"][left] += 1
            found["results"] += 1
            found["different"] += sums(output) != expected
            shutil.rmtree(output.parent)
    found |= {"rows": options.rows, "images": IMAGES[options.rows], "seed": options.seed, "sha256": expected}
    found |= {"seconds_undisturbed": round(duration, 2), "seconds_until_the_first_part": round(starting, 2)}
    print(json.dumps(found, indent=2))
    sys.exit(1 if found["different"] or found["parts_made_again"] else 0)


def parse_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", choices=tuple(JOBS), default="codes", help="whose (default: %(default)s)")
    parser.add_argument("--kills", type=int, default=20, help="at least so many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    return parser.parse_args()


def prepare(folder: Path, rows: str) -> Extraction:
    """Images, a VQGAN that was never trained, and settings."""
    write_photographs(folder / "data", IMAGES[rows])
    torch.manual_seed(0)
    vqgan = VQGAN(VQGAN_MODEL)
    torch.nn.init.normal_(vqgan.quantize.embedding.weight)
    save_model(folder / "vqgan", vqgan.state_dict(), {"kind": "vqgan", "model": VQGAN_MODEL.resolved()})
    config = folder / f"{rows}.yaml"
    config.write_text(dump_yaml(JOBS[rows]))
    return Extraction(rows, config, folder / "data" / "train.index.npz", folder / "vqgan" / "model.safetensors")


def undisturbed(extraction: Extraction, output: Path) -> tuple[float, float]:
    """Seconds until the first part is there, and of a whole run."""
    begin = time.monotonic()
    process = extraction.start(output, workers=0)
    while process.poll() is None and not finished_parts(output):
        time.sleep(0.01)
    starting = time.monotonic() - begin
    wait_for(process)
    return starting, time.monotonic() - begin


def kill_until_done(
    extraction: Extraction, output: Path, starting: float, duration: float, draw: random.Random
) -> Iterator[tuple[str, int]]:
    """Runs, kills and runs again until a run ends by itself.

    Yields, for each kill, what it left and how many parts that were finished before were made again.
    """
    before: dict[Path, int] = {}
    while True:
        process = extraction.start(output, draw.choice((0, 1, 2)))
        # A quarter falls into the imports, the rest into the work, of which a run gets a tenth or so done.
        latest = starting if draw.random() < 0.25 else starting + (duration - starting) / 5
        try:
            process.wait(timeout=draw.uniform(starting / 3, latest))
        except subprocess.TimeoutExpired:
            if draw.random() < 0.5:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
            now = finished_parts(output)
            repeated = sum(now.get(path, time_made) != time_made for path, time_made in before.items())
            before = now
            yield describe(output), repeated
            continue
        wait_for(process)
        return


def wait_for(process: subprocess.Popen[str]) -> None:
    """To the end of a run, which must be a good one."""
    _, said = process.communicate()
    if process.returncode:
        raise SystemExit(f"it ended with status {process.returncode}: {said}")


def finished_parts(output: Path) -> dict[Path, int]:
    """Records of parts and when they were written."""
    found = {}
    for path in output.parent.rglob("*-*.json"):
        try:
            found[path] = path.stat().st_mtime_ns
        except FileNotFoundError:  # merged and removed meanwhile
            continue
    return found


def describe(output: Path) -> str:
    """How far a killed run had come, in words that can be counted."""
    if output.with_suffix(".json").exists():
        return "all of it"
    if output.exists():
        return "an array without facts"
    if any(path.suffix == ".npy" and "-" not in path.name for path in output.parent.glob("state/features/*")):
        return "all features"
    names = [path.name for path in output.parent.rglob("*")] if output.parent.exists() else []
    if any(".partial" in name for name in names):
        return "half-written files"
    records, arrays = (sum(name.endswith(f".{end}") and "-" in name for name in names) for end in ("json", "npy"))
    if arrays > records:
        return "a part without its record"
    return "some parts" if records else "nothing"


def sums(output: Path) -> dict[str, str]:
    """SHA-256 of every file that an extraction leaves; of a probe of the features, and what it scored."""
    if output.suffix != ".json":
        return {path.name: sha256_file(path) for path in sorted(output.parent.rglob("*")) if path.is_file()}
    features = {path.name: sha256_file(path) for path in sorted(output.parent.glob("state/features/*.npy"))}
    return features | {"metrics": json.dumps(json.loads(output.read_text())["metrics"])}


if __name__ == "__main__":
    main()
