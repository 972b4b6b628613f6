"""How verbs are started: alone, by torchrun, as a step of a Slurm job; GPUs of their own, and signals that arrive.

Run: pytest tests/commands/test_launch.py
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from commands.workbench import Workbench, command
from config.studies import ROOT, TINY

from titok.cli import build_parser
from titok.commands.launch import launch, processes, step_of_slurm
from titok.errors import MachineError
from titok.runtime.gpus import take_gpus

TRAIN = ["train", "stage1", "--config", "c.yaml", "--output", "o/model.safetensors", "--state", "s", "--seed", "0"]
CUDA = ["--device", "cuda"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]


def options(*words: str) -> argparse.Namespace:
    return build_parser().parse_args(["launch", *words])


def test_alone_a_verb_is_itself() -> None:
    start = processes(options("--gpus", "1", *TRAIN), ["GPU-7"], {})
    assert start.words == [sys.executable, "-m", "titok", *TRAIN, *CUDA]
    assert start.variables == {"CUDA_VISIBLE_DEVICES": "GPU-7"}


def test_without_gpus_they_are_hidden() -> None:
    start = processes(options("--gpus", "0", *TRAIN), [], {})
    assert start.variables == {"CUDA_VISIBLE_DEVICES": ""}
    assert start.words[3:] == TRAIN, "it may work where it likes"


SCORE = ["score", "codec", "--codec", "jpeg", "--quality", "1", "--data", "d", "--config", "c", "--output", "o"]


@pytest.mark.parametrize(
    ("verb", "asked", "told"),
    [
        (TRAIN, [], CUDA),
        (SCORE, [], CUDA),
        (TRAIN, ["--device", "cpu"], ["--device", "cpu"]),
        ([*TRAIN, "--device", "cpu"], [], []),
        ([*TRAIN, "--device=cuda:0"], [], []),
        ([*TRAIN, "--devic", "auto"], [], []),
        (["check", "study.yaml"], [], []),
        (["plan", "--config", "study.yaml"], [], []),
    ],
)
def test_a_verb_that_gets_a_gpu_has_to_use_it(verb: list[str], asked: list[str], told: list[str]) -> None:
    start = processes(options("--gpus", "1", *asked, *verb), ["0"], {})
    assert start.words == [sys.executable, "-m", "titok", *verb, *told]


STAGE = ["--stage-to", "$TMPDIR/my data"]
STAGED = "--stage-to=$TMPDIR/my data"


@pytest.mark.parametrize(
    ("verb", "told"),
    [
        ([*TRAIN, "--data", "d.index.npz"], [STAGED]),
        ([*TRAIN, "--data", "d.index.npz", "--stage-to", "/other"], []),
        ([*TRAIN, "--tokens", "t.npz"], []),
        (SCORE, []),
    ],
)
def test_a_training_on_images_is_told_where_to_copy_them(verb: list[str], told: list[str]) -> None:
    start = processes(options("--gpus", "0", *STAGE, *verb), [], {})
    assert start.words == [sys.executable, "-m", "titok", *verb, *told]
    assert STAGED in step_of_slurm(options("--srun", *STAGE, *verb)), "each machine copies for itself"


def test_mistakes_of_the_verb_are_found_before_it_waits_for_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        processes(options("--gpus", "1", "train", "stage1", "--sede", "0"), ["0"], {})
    assert "titok train: error" in capsys.readouterr().err


def test_several_gpus_have_a_process_each() -> None:
    start = processes(options("--gpus", "2", "--cpus", "1", *TRAIN), ["4", "6"], {})
    signals = "--signals-to-handle=SIGINT,SIGTERM,SIGUSR1,SIGHUP,SIGQUIT"
    assert start.words == [*TORCHRUN, "--nproc-per-node=2", signals, "--standalone", "-m", "titok", *TRAIN, *CUDA]
    assert start.variables["CUDA_VISIBLE_DEVICES"] == "4,6"
    assert start.variables["OMP_NUM_THREADS"] == "1"


def test_nohup_is_obeyed() -> None:
    """torchrun of its own would take the closing of the terminal for a reason to stop."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        (handled,) = (word for word in processes(options(*TRAIN), ["4", "6"], {}).words if "--signals" in word)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert handled == "--signals-to-handle=SIGINT,SIGTERM,SIGUSR1,SIGQUIT"


def test_machines_meet_where_the_step_was_started() -> None:
    slurm = {"SLURM_JOB_ID": "12345", "SLURM_NODEID": "3", "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.7"}
    start = processes(options("--in-step", "--nodes", "4", "--gpus", "8", *TRAIN), [str(i) for i in range(8)], slurm)
    assert start.words[5:9] == [
        "--nnodes=4",
        "--node-rank=3",
        "--master-addr=10.0.0.7",
        "--master-port=22345",
    ]


def test_outside_a_job_step_there_is_one_machine() -> None:
    """The study asks for four machines; where there is no Slurm, this one has to do."""
    start = processes(options("--nodes", "4", "--gpus", "1", *TRAIN), ["0"], {"SLURM_JOB_ID": "1"})
    assert start.words == [sys.executable, "-m", "titok", *TRAIN, *CUDA]


def test_a_step_of_a_job() -> None:
    words = step_of_slurm(options("--srun", "--nodes", "2", "--gpus", "8", "--cpus", "64", *TRAIN))
    start, _, rest = " ".join(words).partition(f" {sys.executable} ")
    assert start == (
        "srun --overlap --nodes=2 --ntasks=2 --ntasks-per-node=1 --cpus-per-task=64 --kill-on-bad-exit=0 --gres=gpu:8"
    )
    assert rest == f"-m titok launch --in-step --gpus 8 --nodes 2 --cpus 64 --device cuda -- {' '.join(TRAIN)}"
    assert options(*rest.split()[3:]).verb[1:] == TRAIN, "the step reads it again"


def test_a_step_without_gpus_asks_for_none() -> None:
    assert "gres" not in " ".join(step_of_slurm(options("--srun", "--gpus", "0", *TRAIN)))


def test_only_trainings_share_work() -> None:
    with pytest.raises(MachineError, match="titok sample works in one process, but 1 x 2 were asked for"):
        processes(options("--gpus", "2", "sample", "--seed", "0"), ["0", "1"], {})


def test_in_a_step_gpus_are_the_jobs_own(tmp_path: Path) -> None:
    """Two nodes of a job may be one machine, where both call their GPU 0: nobody waits for the other."""
    folder = tmp_path / f"titok-gpus-{os.getuid()}-12"
    assert take_gpus(1, {"CUDA_VISIBLE_DEVICES": "0"}, folder=folder) == ["0"]
    done = run("--in-step", "--gpus", "1", "check", str(TINY), visible="0", folder=tmp_path, SLURM_JOB_ID="12")
    assert done.returncode == 0, done.stderr
    assert done.stderr == "This job has 1 GPU(s), CUDA_VISIBLE_DEVICES=0\n"


def test_a_verb_is_needed() -> None:
    with pytest.raises(MachineError, match="needs another verb"):
        launch(options("--gpus", "0"))


def run(*words: str, visible: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": visible,
        "TMPDIR": str(folder),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    line = [sys.executable, "-m", "titok", "launch", *words]
    return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)


def test_the_verb_runs_with_its_exit_status(tmp_path: Path) -> None:
    done = run("--gpus", "1", "check", str(TINY), visible="3", folder=tmp_path)
    assert (done.returncode, done.stdout.split()[2]) == (0, "'tiny'"), done.stderr
    failed = run("--gpus", "0", "check", "nowhere.yaml", visible="3", folder=tmp_path)
    assert failed.returncode == 1
    assert "nowhere.yaml: no such file" in failed.stderr


def test_too_many_gpus_are_told(tmp_path: Path) -> None:
    done = run("--gpus", "2", *TRAIN, visible="3", folder=tmp_path)
    assert done.returncode == 1
    said = "titok: MachineError: 2 GPUs wanted, but 1 are visible here (3; CUDA_VISIBLE_DEVICES is '3')"
    assert done.stderr.startswith(said)


@pytest.mark.long
def test_a_gpu_that_torch_cannot_use_is_an_error(bench: Workbench, tmp_path: Path) -> None:
    """Here there is none: a name, as of a GPU whose driver is too old."""
    if torch.cuda.is_available():
        pytest.skip("torch can use a GPU")
    line = command("train", "classifier", config=bench.config("classifier", "judge"), data=bench.train_data, seed=0)
    line += command(state=tmp_path / "state", output=tmp_path / "model.safetensors")
    done = run("--gpus", "1", *line, visible="0", folder=tmp_path)
    assert done.returncode == 1
    assert "titok: MachineError: device is 'cuda', but torch sees 0 CUDA devices: " in done.stderr
    done = run("--gpus", "1", "--device", "cpu", *line, visible="0", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "CUDA_VISIBLE_DEVICES=0, which it leaves idle (--device cpu)" in done.stderr
    assert "although GPUs are visible" not in done.stderr, "it was asked to"
    (tmp_path / "model.safetensors").unlink()
    done = run("--gpus", "1", *line, visible="NoDevFiles", folder=tmp_path)
    assert done.returncode == 1
    assert "1 GPUs wanted, but 0 are visible here (none; CUDA_VISIBLE_DEVICES is 'NoDevFiles')" in done.stderr
