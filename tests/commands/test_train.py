"""`titok train`: what it leaves behind, what it refuses, and that stopping it never changes the result.

Run: pytest tests/commands/test_train.py
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import yaml
from commands.workbench import Workbench, command, record, titok

from titok.commands import train as training
from titok.models.classifier import Classifier
from titok.models.folder import load_folder, load_generator, load_tokenizer, load_vqgan
from titok.runtime.files import sha256_file

STEPS = 60


def test_every_task_leaves_a_model_its_log_and_its_manifest(bench: Workbench) -> None:
    for name in ("judge", "critic", "vqgan", "stage1", "two", "one", "g"):
        folder = bench.model(name).parent
        assert {path.name for path in folder.iterdir()} == {
            "model.safetensors",
            "config.json",
            "metrics.jsonl",
            "manifest.json",
        }
        lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        manifest = record(folder / "manifest.json")
        training = manifest["config"]["training"]
        steps, every = training["steps"], training["log_every"]
        assert [line["step"] for line in lines] == sorted({*range(every, steps + 1, every), steps})
        assert manifest["steps"] == steps
        assert manifest["final"]["loss"] == lines[-1]["loss"]
        assert manifest["provenance"]


def test_models_load_as_what_they_are(bench: Workbench) -> None:
    assert load_tokenizer(bench.model("two")).config.pixel_lookup == "soft"
    assert load_tokenizer(bench.model("stage1")).config.pixel_lookup == "argmax"
    assert load_tokenizer(bench.model("one")).config.head == "pixels"
    assert load_vqgan(bench.model("vqgan")).config.codebook_size == 16
    assert load_generator(bench.model("g")).config.num_tokens == 2
    assert isinstance(load_folder(bench.model("judge"), Classifier), Classifier)


def test_the_device_is_chosen_before_frozen_networks_look_at_all_images(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They computed on the CPU beside an idle GPU, and before the C library was asked to keep freed memory."""
    seen: list[str] = []

    def chosen(name: str, **_: object) -> torch.device:
        seen.append("chosen")
        return torch.device("cpu")

    def put_together(job: object, options: argparse.Namespace) -> None:
        seen.append(options.device)
        raise InterruptedError

    monkeypatch.setattr(training, "select_device", chosen)
    monkeypatch.setattr(training, "_run_of", put_together)
    with pytest.raises(InterruptedError):
        bench.train("classifier", "never", ("classifier", "judge"), data=bench.train_data, device="auto")
    assert seen == ["chosen", "cpu"]


def test_training_lets_cudnn_try_its_algorithms_and_scores_do_not(bench: Workbench, tmp_path: Path) -> None:
    bench.train("classifier", "judge", ("classifier", "judge"), data=bench.train_data)  # finished: exported again
    assert torch.backends.cudnn.benchmark, "as the official training has it"
    options = {"data": bench.test_data, "judge": bench.model("judge"), "output": tmp_path / "score.json"}
    subject = bench.targets.vqgan_subject()
    bench.run(
        "score", "reconstruction", config=bench.config("score"), model=bench.model("vqgan"), subject=subject, **options
    )
    assert not torch.backends.cudnn.benchmark


def test_stage_2_keeps_the_encoder_and_the_codes(bench: Workbench) -> None:
    before, after = (load_tokenizer(bench.model(name)).state_dict() for name in ("stage1", "two"))
    same = {key for key in before if before[key].equal(after[key])}
    assert {key for key in before if key.startswith(("encoder.", "quantizer."))} <= same
    assert any(key.startswith("decoder.") for key in before.keys() - same)


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("stage1", ("data",), "titok train stage1 needs --vqgan"),
        ("stage2", ("data", "critic"), "titok train stage2 needs --init"),
        ("single_stage", ("data",), "needs --critic"),
        ("generator", (), "needs --tokens"),
        ("classifier", (), "needs --data"),
    ],
)
def test_missing_files_are_asked_for(
    bench: Workbench, tmp_path: Path, task: str, options: tuple[str, ...], words: str
) -> None:
    name = {"stage1": "two", "stage2": "two", "single_stage": "one", "generator": "g", "classifier": "judge"}[task]
    given = {"data": bench.train_data, "critic": bench.model("critic")}
    chosen = {option: given[option] for option in options}
    paths = {"state": tmp_path / "state", "output": tmp_path / "model.safetensors", "seed": 0}
    message = bench.refusal("train", task, config=bench.config(task, name), **paths, **chosen)
    assert words in message
    assert "Traceback" not in message


def test_the_wrong_kind_of_model_is_refused(bench: Workbench, tmp_path: Path) -> None:
    paths = {"state": tmp_path / "state", "output": tmp_path / "model.safetensors", "seed": 0}
    config, wrong = bench.config("stage1", "two"), bench.model("judge")
    message = bench.refusal("train", "stage1", config=config, data=bench.train_data, vqgan=wrong, **paths)
    assert f"{wrong} is a classifier (Classifier), a VQGAN is needed; check the path" in message


@pytest.fixture(scope="module")
def settings(bench: Workbench) -> Path:
    """Single-stage training (two players, averages, a perceptual network), saved after every step."""
    document = yaml.safe_load(bench.config("single_stage", "one").read_text())
    document["training"] |= {"steps": STEPS, "log_every": 5, "checkpoint_seconds": 0}
    path = bench.root / "long.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


class Long:
    """One long run that may be stopped and started again."""

    def __init__(self, bench: Workbench, settings: Path, folder: Path) -> None:
        self.state, self.output = folder / "state", folder / "model.safetensors"
        files = {"data": bench.train_data, "critic": bench.model("critic"), "output": self.output, "state": self.state}
        self.line = command("train", "single_stage", config=settings, seed=0, **files)

    def start(self, code: str | None = None) -> subprocess.Popen[str]:
        return titok(*self.line, code=code)

    def finish(self) -> str:
        """Runs to the end; what it said."""
        process = self.start()
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
        return said

    def checkpoints(self) -> list[Path]:
        return sorted(self.state.glob("*/step-*.pt"))

    def step(self) -> int:
        found = self.checkpoints()
        return int(found[-1].stem.removeprefix("step-")) if found else 0

    def partial(self) -> list[Path]:
        return [path for path in self.state.parent.rglob("*") if ".partial" in path.name]


@pytest.fixture(scope="module")
def unbroken(bench: Workbench, settings: Path) -> str:
    """Hash of the weights of a run that nobody stopped."""
    run = Long(bench, settings, bench.root / "unbroken")
    bench.run(*run.line)
    return sha256_file(run.output)


def wait_for(condition: object, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not condition():  # type: ignore[operator]
        assert process.poll() is None, f"the training ended too early: {process.communicate()[1]}"
        assert time.monotonic() < deadline, "the training does not get on"
        time.sleep(0.01)


def test_interrupted_training_goes_on_to_the_same_weights(
    bench: Workbench, settings: Path, unbroken: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Long(bench, settings, tmp_path)
    process = run.start()
    wait_for(lambda: run.step() >= 3, process)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in said
    assert "Traceback" not in said
    stopped_at = run.step()
    assert 3 <= stopped_at < STEPS
    assert not run.output.exists()
    assert run.partial() == []
    bench.run(*run.line)
    assert f"{stopped_at}/{STEPS}" not in capsys.readouterr().err.splitlines()[-1]
    assert sha256_file(run.output) == unbroken
    lines = run.output.with_name("metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(5, STEPS + 1, 5))


SLOW_THIRD_SAVE = """
import sys, time, torch
from titok.cli import main
save, calls = torch.save, []
def slow_save(state, path):
    save(state, path)
    calls.append(path)
    if len(calls) == 3:
        print("saving", flush=True)
        time.sleep(60)
torch.save = slow_save
main()
"""


@pytest.mark.long
def test_a_second_interrupt_while_saving_leaves_at_once_and_loses_nothing(
    bench: Workbench, settings: Path, unbroken: str, tmp_path: Path
) -> None:
    run = Long(bench, settings, tmp_path)
    process = run.start(SLOW_THIRD_SAVE)
    assert process.stdout is not None
    assert process.stdout.readline() == "saving\n"
    assert len(run.partial()) == 1
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert process.poll() is None, "the first one only asks"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert run.partial() == []
    assert run.step() == 2, "the checkpoint before is still there, the one that was being written is not"
    run.finish()
    assert sha256_file(run.output) == unbroken


@pytest.mark.long
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    bench: Workbench, settings: Path, unbroken: str, tmp_path: Path
) -> None:
    run = Long(bench, settings, tmp_path)
    process = run.start()
    wait_for(lambda: run.step() >= 3, process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    older, newest = run.checkpoints()
    with newest.open("r+b") as stream:
        stream.truncate(newest.stat().st_size // 2)
    said = run.finish()
    assert f"checkpoint {newest} is damaged" in said
    assert newest.with_suffix(".damaged").exists()
    assert older.exists() or run.step() == STEPS
    assert sha256_file(run.output) == unbroken


def test_without_any_readable_checkpoint_people_are_asked(bench: Workbench, settings: Path) -> None:
    """Runs in the state of the unbroken run; comes after the tests that need its weights."""
    run = Long(bench, settings, bench.root / "unbroken")
    before = sha256_file(run.output)
    for path in run.checkpoints():
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.warns(UserWarning, match="is damaged"):
        message = bench.refusal(*run.line)
    assert message.startswith("titok: CheckpointError: none of the checkpoints in")
    assert "delete the directory to start from scratch" in message
    assert sha256_file(run.output) == before


def test_a_full_disk_leaves_no_half_file(bench: Workbench, tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: both end a write in the middle."""
    config, state, output = bench.config("classifier", "judge"), tmp_path / "state", tmp_path / "model.safetensors"
    line = command("train", "classifier", config=config, data=bench.train_data, seed=0, state=state, output=output)

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = titok(*line, preexec_fn=restrict)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert "titok: FileError: cannot write" in said
    assert "Make room and run the step again" in said
    left = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert not left & {".pt", ".safetensors"}
    assert not list(tmp_path.rglob("*.partial*"))
    bench.run(*line)
    assert sha256_file(output) == sha256_file(bench.model("judge")), "the next attempt is as good as a first one"


def test_tensorboard_events_on_request(bench: Workbench, tmp_path: Path) -> None:
    config, output = bench.config("generator", "g"), tmp_path / "m" / "model.safetensors"
    paths = {"state": tmp_path / "state", "output": output}
    line = command("train", "generator", config=config, tokens=bench.root / "tokens.npz", seed=0, **paths)
    bench.run(*line, "--tensorboard")
    assert list(tmp_path.rglob("events.out.tfevents.*"))


def test_milestones_score_test_images_while_training(bench: Workbench, tmp_path: Path) -> None:
    document = yaml.safe_load(bench.config("stage1", "two").read_text())
    document["training"] |= {"steps": 6, "log_every": 4, "milestone_steps": 3, "milestone_images": 70}
    document["evaluation"] = yaml.safe_load(bench.config("score", "all").read_text())["evaluation"]
    settings = tmp_path / "settings.yaml"
    settings.write_text(yaml.safe_dump(document))
    files = {"data": bench.train_data, "vqgan": bench.model("vqgan"), "judge": bench.model("judge")}
    output = tmp_path / "out" / "model.safetensors"
    line = {"config": settings, "state": tmp_path / "state", "output": output, "seed": 0, **files}
    message = bench.refusal("train", "stage1", **line)
    assert "training.milestone_images is 70: give the index of the test images with --test" in message
    bench.run("train", "stage1", **line, test=bench.test_data)
    lines = [json.loads(text) for text in (output.parent / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in lines] == [3, 4, 6]
    scored = [entry for entry in lines if "rfid_70" in entry]
    assert [entry["step"] for entry in scored] == [3, 6]
    assert all(entry["rfid_70"] > 0 and 0 < entry["codebook_usage_70"] <= 1 for entry in scored)
    assert record(output.parent / "manifest.json")["final"]["psnr_70"] == scored[-1]["psnr_70"]
