"""Verbs run by forks of a process that imported everything: as if each had a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psutil
import pytest

from titok.runtime.fork_server import ADDRESS, PRELOADED, can_serve

ROOT = Path(__file__).parents[2]
STARTER = """
import sys
from titok.runtime.fork_server import ADDRESS, start_server
import os
start_server("portable")
print(os.environ[ADDRESS], flush=True)
sys.stdin.read()
"""
pytestmark = pytest.mark.skipif(not can_serve(), reason="this system has no pidfd_open")


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """The environment of jobs whose Snakemake started a server."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", STARTER]
    parent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdin is not None
    assert parent.stdout is not None
    address = parent.stdout.readline().strip()
    yield {**environment, ADDRESS: address}
    parent.stdin.close()
    parent.wait(timeout=60)
    deadline = time.monotonic() + 30
    while Path(address).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not Path(address).parent.exists(), "the server outlived its parent"


def titok(environment: dict[str, str], *words: object, **options: object) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "titok", *map(str, words)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, **options)  # type: ignore[call-overload]


@pytest.mark.parametrize("module", PRELOADED)
def test_every_module_is_there_that_is_imported_beforehand(module: str) -> None:
    """Without one, the server ends before it serves, and every job imports torch for itself."""
    assert find_spec(f"titok.commands.{module}") is not None


def test_a_verb_says_and_returns_what_it_would_alone(server: dict[str, str]) -> None:
    alone = {**server, ADDRESS: "off"}
    for words in (["--version"], ["check", ROOT / "config/digits.yaml"], ["nonsense"], ["verdict", "/gone.json"]):
        found, expected = titok(server, *words), titok(alone, *words)
        assert (found.returncode, found.stdout, found.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_folder_environment_and_umask_are_the_askers(server: dict[str, str], tmp_path: Path) -> None:
    name = "it's a & b: {c} $(touch hacked) ünï.yaml"
    (tmp_path / name).write_text((ROOT / "config/digits.yaml").read_text())
    words = ("resolve", name, "stage1", "l2", "--output", "l2.yaml")
    done = titok(server, *words, cwd=tmp_path, umask=0o077)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "l2.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["OPENBLAS_L2_SIZE", "MKL_CBWR"])
def test_kernels_are_the_server_s_whatever_the_asker_chose(server: dict[str, str], tmp_path: Path, name: str) -> None:
    """A machine or a module may set them; the server took them away, or set them, before it loaded its libraries."""
    words = ["resolve", ROOT / "config/digits.yaml", "throughput", "root", "--output", tmp_path / "root.yaml"]
    ended = titok({**server, name: "512"}, *words)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_importing_is_over_when_a_verb_begins(server: dict[str, str]) -> None:
    """A twentieth of what importing torch takes in CPU time; the asker's own time is that of a bare interpreter."""
    before = os.times()
    assert titok(server, "launch", "--gpus", "0", "check", ROOT / "config/digits.yaml").returncode == 0
    after = os.times()
    alone = os.times()
    assert titok({**server, ADDRESS: "off"}, "doctor", "--help").returncode == 0
    assert after.children_user - before.children_user < 1.0
    assert alone.children_user >= after.children_user


@pytest.fixture
def training(server: dict[str, str], tmp_path: Path) -> list[str]:
    """The command line of a training that would take an hour, run by the server."""
    study = ROOT / "tests/arithmetic/ten_steps.yaml"
    for kind, name in (("data", "all"), ("classifier", "judge")):
        assert titok(server, "resolve", study, kind, name, "--output", tmp_path / f"{kind}.yaml").returncode == 0
    assert titok(server, "prepare", "--config", tmp_path / "data.yaml", "--output", tmp_path / "data").returncode == 0
    settings = tmp_path / "classifier.yaml"
    settings.write_text(settings.read_text().replace("steps: 10", "steps: 1000000"))
    words = ["train", "classifier", "--config", settings, "--data", tmp_path / "data/train.index.npz", "--seed", 0]
    words += ["--state", tmp_path / "state", "--output", tmp_path / "model/model.safetensors"]
    return [sys.executable, "-m", "titok", *map(str, words)]


def started(line: list[str], environment: dict[str, str], folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    while not any(path.stat().st_size for path in folder.rglob("metrics.jsonl")):
        assert process.poll() is None, process.stderr and process.stderr.read()
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
def test_signals_reach_the_verb(
    training: list[str], server: dict[str, str], tmp_path: Path, number: signal.Signals
) -> None:
    process = started(training, server, tmp_path)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert process.stderr is not None
    assert "the same command continues" in process.stderr.read()
    assert list(tmp_path.rglob("step-*.pt"))


def test_a_verb_whose_asker_is_killed_saves_and_ends(
    training: list[str], server: dict[str, str], tmp_path: Path
) -> None:
    process = started(training, server, tmp_path)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 60
    while not list(tmp_path.rglob("step-*.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(tmp_path.rglob("step-*.pt"))


def works_for(child: psutil.Process, address: str, folder: Path) -> bool:
    """Whether it is a fork of this server with files of this folder; others may end while they are looked at."""
    try:
        return address in child.cmdline() and any(str(folder) in file.path for file in child.open_files())
    except psutil.Error:
        return False


def test_a_verb_that_is_killed_is_told_so(training: list[str], server: dict[str, str], tmp_path: Path) -> None:
    process = started(training, server, tmp_path)
    (worker,) = [child for child in psutil.process_iter() if works_for(child, server[ADDRESS], tmp_path)]
    worker.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_without_a_server_verbs_start_as_always(server: dict[str, str], tmp_path: Path) -> None:
    done = titok({**server, ADDRESS: str(tmp_path / "nobody")}, "--version")
    assert (done.returncode, done.stdout.strip()) == (0, titok(server, "--version").stdout.strip())
