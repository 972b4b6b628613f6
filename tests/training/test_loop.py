"""The loop on toy tasks: exact resume, stopping, sick runs, exports."""

from __future__ import annotations

import json
import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import torch
from training.toy import ToyBatches, ToyTask, toy_training

from titok.runtime.signals import STOPPING, Interrupted
from titok.runtime.weights import load_model
from titok.training import loop
from titok.training.checkpoint import CheckpointError, StateDirectory
from titok.training.health import CollapseWarning, NonFiniteError, SickRunError
from titok.training.loop import train


class Stopper(ToyBatches):
    """Sends a signal while the batch of ``at`` is made."""

    def __init__(self, at: int, number: signal.Signals = signal.SIGINT) -> None:
        super().__init__()
        self.at = at
        self.number = number

    def batch(self, step: int) -> Any:
        if step == self.at:
            os.kill(os.getpid(), self.number)
        return super().batch(step)


def run(tmp_path: Path, task: ToyTask, batches: Any = None, name: str = "run", **options: Any) -> Path:
    training = options.pop("training", toy_training())
    arguments = {"seed": 3, "config": {"training": training.resolved()}, "state_dir": tmp_path / f"{name}-state"}
    train(task, batches or ToyBatches(), training, output_dir=tmp_path / name, **{**arguments, **options})
    return tmp_path / name


def log_lines(path: Path) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "images_per_second"} for line in lines]


@pytest.mark.parametrize("adversary", [False, True])
@pytest.mark.parametrize("stops", [[0], [4], [2, 5, 9], list(range(12))])
def test_a_run_cut_into_pieces_ends_with_the_same_bits(tmp_path: Path, adversary: bool, stops: list[int]) -> None:
    whole_task = ToyTask(toy_training(), adversary=adversary)
    whole = run(tmp_path, whole_task, name="whole")
    for stop in stops:
        if stop == 11:  # a signal during the last step does not stop a run that is done
            break
        with pytest.raises(Interrupted):
            run(tmp_path, ToyTask(toy_training(), adversary=adversary), Stopper(stop), name="cut")
    cut_task = ToyTask(toy_training(), adversary=adversary)
    cut = run(tmp_path, cut_task, name="cut")
    for (key, expected), (_, found) in zip(whole_task.state_dict().items(), cut_task.state_dict().items(), strict=True):
        assert torch.equal(expected, found), key
    expected_weights, found_weights = load_model(whole)[0], load_model(cut)[0]
    assert all(torch.equal(expected_weights[key], found_weights[key]) for key in expected_weights)
    assert log_lines(whole) == log_lines(cut)


def test_two_runs_are_equal_and_another_seed_differs(tmp_path: Path) -> None:
    first, second, third = (
        load_model(run(tmp_path, ToyTask(toy_training()), name=name, seed=seed))[0]
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["0.weight"], third["0.weight"])


def test_training_lowers_the_loss_and_the_log_has_the_promised_keys(tmp_path: Path) -> None:
    training = toy_training(steps=200, log_every=50)
    lines = log_lines(run(tmp_path, ToyTask(training, adversary=True), training=training))
    assert [line["step"] for line in lines] == [50, 100, 150, 200]
    assert lines[-1]["loss"] < 0.5 * lines[0]["loss"]
    expected = {"step", "learning_rate", "loss", "noise", "grad_norm", "codes_used", "codebook_usage"}
    assert expected | {"codebook_perplexity", "adversary_loss", "adversary_grad_norm"} == set(lines[-1])


def test_the_averaged_weights_are_exported_unless_none_are_kept(tmp_path: Path) -> None:
    averaged_task, raw_training = ToyTask(toy_training()), toy_training(ema_decay=None)
    averaged = load_model(run(tmp_path, averaged_task, name="averaged"))[0]
    raw_task = ToyTask(raw_training)
    raw = load_model(run(tmp_path, raw_task, name="raw", training=raw_training))[0]
    assert torch.equal(raw["0.weight"], raw_task.model[0].weight)
    assert torch.equal(averaged_task.model[0].weight, raw_task.model[0].weight), "averaging must not touch training"
    assert not torch.equal(averaged["0.weight"], raw["0.weight"])


def test_a_finished_run_is_exported_again_without_training(tmp_path: Path) -> None:
    first = run(tmp_path, ToyTask(toy_training()))
    weights, log = load_model(first)[0], log_lines(first)
    (first / "model.safetensors").unlink()

    class NoBatches:
        def batch(self, step: int) -> Any:
            raise AssertionError("no training was needed")

    again = run(tmp_path, ToyTask(toy_training()), NoBatches())
    assert all(torch.equal(weights[key], value) for key, value in load_model(again)[0].items())
    assert log_lines(again) == log


def test_manifest_says_what_was_run(tmp_path: Path) -> None:
    scores: list[bool] = []

    def evaluate(model: torch.nn.Module) -> dict[str, float]:
        scores.append(model.training)
        return {"accuracy": 0.5}

    table = tmp_path / "table.txt"
    table.write_text("data")
    output = run(tmp_path, ToyTask(toy_training()), evaluate=evaluate, inputs={"data": table})
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["task"] == "toy"
    assert manifest["steps"] == 12
    assert manifest["parameters"] == manifest["trainable_parameters"] == 65
    assert manifest["final"]["accuracy"] == 0.5
    assert manifest["final"]["loss"] == log_lines(output)[-1]["loss"]
    assert manifest["provenance"]["inputs"]["data"]["bytes"] == 4
    assert manifest["images_per_second"] == pytest.approx(96 / manifest["wall_seconds"], rel=0.1)
    assert scores == [False]
    assert load_model(output)[1] == {"kind": "toy", "width": 8}


def test_milestones_are_scored_and_kept_and_change_nothing_else(tmp_path: Path) -> None:
    scored: list[torch.Tensor] = []

    def evaluate(model: torch.nn.Module) -> dict[str, float]:
        torch.manual_seed(99)
        scored.append(next(iter(model.parameters())).detach().clone())
        return {"rfid": float(len(scored))}

    training = toy_training(milestone_steps=5, keep_checkpoints=1)
    plain = run(tmp_path, ToyTask(toy_training()), name="plain")
    with pytest.raises(Interrupted):
        run(tmp_path, ToyTask(training), Stopper(6), name="scored", training=training, evaluate=evaluate)
    output = run(tmp_path, ToyTask(training), name="scored", training=training, evaluate=evaluate)
    lines = log_lines(output)
    assert {line["step"]: line.get("rfid") for line in lines} == {4: None, 5: 1.0, 8: None, 10: 2.0, 12: 3.0}
    assert not torch.equal(scored[0], scored[1])
    names = [path.name for path in sorted((tmp_path / "scored-state").glob("step-*.pt"))]
    assert names == ["step-00000005.pt", "step-00000010.pt", "step-00000012.pt"]
    expected, found = load_model(plain)[0], load_model(output)[0]
    assert all(torch.equal(expected[key], found[key]) for key in expected)
    assert json.loads((output / "manifest.json").read_text())["final"]["rfid"] == 3.0


@pytest.mark.parametrize("number", STOPPING)
def test_signals_save_and_leave(tmp_path: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(tmp_path, ToyTask(toy_training()), Stopper(4, number))
    assert caught.value.code == 128 + number
    assert "Stopped after step 5 of 12; the same command continues." in capsys.readouterr().err
    assert (tmp_path / "run-state" / "step-00000005.pt").exists()
    assert not (tmp_path / "run").exists()


def test_a_second_interrupt_while_saving_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, ToyTask(toy_training()), Stopper(2))

    def impatient(state: object, stream: BinaryIO) -> None:
        stream.write(b"half a checkpoint")
        stream.flush()
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "save", impatient)
        with pytest.raises(Interrupted) as caught:
            run(tmp_path, ToyTask(toy_training()), Stopper(5))
    assert caught.value.code == 130
    assert [path.name for path in (tmp_path / "run-state").glob("*.pt")] == ["step-00000003.pt"]
    assert not list((tmp_path / "run-state").glob("*.partial*"))
    cut = load_model(run(tmp_path, ToyTask(toy_training())))[0]
    whole = load_model(run(tmp_path, ToyTask(toy_training()), name="whole"))[0]
    assert all(torch.equal(whole[key], cut[key]) for key in whole)


def test_a_non_finite_step_changes_nothing_and_keeps_its_batch(tmp_path: Path) -> None:
    healthy = ToyTask(toy_training())
    with pytest.raises(Interrupted):
        run(tmp_path, healthy, Stopper(4), name="healthy")  # five good steps
    saving_always = toy_training(checkpoint_seconds=0)
    sick = ToyTask(saving_always)
    with pytest.raises(NonFiniteError, match="step 5 gave a loss") as caught:
        run(tmp_path, sick, ToyBatches(broken_step=5), name="sick", training=saving_always)
    for key, expected in dict(healthy.named_parameters()).items():
        assert torch.equal(expected, dict(sick.named_parameters())[key]), key
    batch = torch.load(tmp_path / "sick-state" / "batch-of-step-00000005-rank0.pt", weights_only=True)
    assert batch["x"].isnan().any()
    assert any("batch-of-step-00000005-rank0.pt" in note for note in caught.value.__notes__)
    newest = max((tmp_path / "sick-state").glob("step-*.pt"))
    assert newest.name == "step-00000005.pt", "the last checkpoint is from before the accident"


def test_other_settings_do_not_continue_a_run(tmp_path: Path) -> None:
    run(tmp_path, ToyTask(toy_training()))
    longer = toy_training(steps=20)
    with pytest.raises(CheckpointError, match=r"config\.training\.steps is 12 there and 20 now"):
        run(tmp_path, ToyTask(longer), training=longer)


def test_a_collapsed_codebook_stops_the_run(tmp_path: Path) -> None:
    training = toy_training(steps=60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CollapseWarning)
        with pytest.raises(SickRunError, match="one code of 16"):
            run(tmp_path, ToyTask(training, constant_codes=True), training=training)


def test_tensorboard_is_written_on_request_only(tmp_path: Path) -> None:
    run(tmp_path, ToyTask(toy_training()), name="without")
    assert not (tmp_path / "without-state" / "tensorboard").exists()
    run(tmp_path, ToyTask(toy_training()), name="with", tensorboard=True)
    assert list((tmp_path / "with-state" / "tensorboard").glob("events*"))


def test_a_polite_stop_waits_for_the_checkpoint_that_is_written_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = StateDirectory._write_checkpoint

    def slowly(state: StateDirectory, *arguments: Any) -> None:
        time.sleep(0.5)
        write(state, *arguments)

    monkeypatch.setattr(StateDirectory, "_write_checkpoint", slowly)
    monkeypatch.setattr(
        loop, "StateDirectory", lambda *where, **options: StateDirectory(*where, **options | {"background": True})
    )
    with pytest.raises(Interrupted):
        run(tmp_path, ToyTask(toy_training()), Stopper(4, signal.SIGTERM))
    assert [path.name for path in (tmp_path / "run-state").glob("step-*.pt")] == ["step-00000005.pt"]
