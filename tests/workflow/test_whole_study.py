"""The small study from data to report, once; then everything people do to a finished study.

Run: pytest tests/workflow/test_whole_study.py (about two minutes on two cores)
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from config.studies import ROOT, changed, tiny_document
from workflow.sandbox import Sandbox

from titok.runtime.files import sha256_file

pytestmark = pytest.mark.workflow

REPORTING = {"make_table", "make_figure", "judge_checks", "judge_claims", "write_report", "verify_checks"}


def test_everything_was_made(finished: Sandbox) -> None:
    for path in finished.targets.everything():
        assert (finished.folder / path).stat().st_size > 0, path
    assert json.loads((finished.results / "study.json").read_text()) == {"study_file": "tiny.yaml"}
    assert not list(finished.results.rglob("*.partial*"))


def test_every_score_says_how_it_was_made(finished: Sandbox) -> None:
    scores = sorted((finished.results / "scores").rglob("*.json"))
    assert len(scores) == len(finished.targets.all_scores())
    protocols = set()
    for path in scores:
        record = json.loads(path.read_text())
        assert record["provenance"]["inputs"], path
        assert record["metrics"], path
        if record["kind"] == "reconstruction":
            protocols.add(record["protocol_id"])
    assert len(protocols) == 1, "all reconstructions are measured in one and the same way"


def test_resolved_settings_lie_beside_the_results(finished: Sandbox) -> None:
    settings = yaml.safe_load((finished.results / "configs" / "stage1" / "s2.yaml").read_text())
    assert settings["model"]["num_latent_tokens"] == 2
    assert settings["training"]["max_grad_norm"] == 1.0, "defaults are written out"


def test_three_sampling_rules_of_one_generator_stand_side_by_side(finished: Sandbox) -> None:
    """The same weights, seed and noise: what differs is the rule."""
    with (finished.results / "tables" / "sampling_rules.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == ["TiTok's rule", "MaskGIT's rule", "MaskGIT's settings, TiTok's rule"]
    assert len({row["gfid_mean"] for row in rows}) == 3
    samplers = ("two-steps", "maskgit", "maskgit-by-titok")
    records = [finished.results / f"scores/generation/maskgit/{sampler}/seed0.json" for sampler in samplers]
    found = [json.loads(path.read_text()) for path in records]
    assert [float(row["gfid_mean"]) for row in rows] == [record["metrics"]["gfid"]["value"] for record in found]
    assert len({record["protocol_id"] for record in found}) == 1
    manifests = [finished.results / f"samples/maskgit/{sampler}/seed0.json" for sampler in samplers]
    used = [json.loads(path.read_text())["provenance"]["inputs"] for path in manifests]
    assert used[0] == used[1] == used[2], "one generator, one tokenizer"


def test_jobs_left_their_logs_and_times(finished: Sandbox) -> None:
    assert (finished.folder / "logs/tiny/train_stage1/s2-seed0.log").exists()
    header, numbers = (finished.folder / "logs/tiny/benchmarks/train_stage1/s2-seed0.tsv").read_text().splitlines()
    assert header.startswith("s\t")
    assert float(numbers.split("\t")[0]) > 0


def test_seeds_give_different_models(finished: Sandbox) -> None:
    folders = [finished.results / "tokenizers/s1" / f"seed{seed}" / "stage1" for seed in (0, 1)]
    assert len({sha256_file(folder / "model.safetensors") for folder in folders}) == 2


def test_a_second_run_has_nothing_to_do(finished: Sandbox) -> None:
    done = finished.snakemake("--cores", 1)
    assert done.status == 0
    assert "Nothing to be done" in done.said


@pytest.mark.parametrize("name", ["tables/table1.md", "figures/figure4.svg"])
def test_a_deleted_product_reruns_reporting_only(copy: Sandbox, name: str) -> None:
    (copy.results / name).unlink()
    plan = copy.plan()
    rule = "make_table" if name.startswith("tables") else "make_figure"
    assert plan.rules == {rule: 1, "write_report": 1, "verify_checks": 1}


def test_a_changed_tokenizer_reruns_what_depends_on_it(edited: Sandbox) -> None:
    edited.write_study(changed(tiny_document(), "tokenizers.s2.commitment_weight", 0.5))
    plan = edited.plan()
    assert plan.jobs("write_config") == {"results/tiny/configs/stage1/s2.yaml"}
    assert plan.jobs("train_stage1") == {"results/tiny/tokenizers/s2/seed0/stage1/model.safetensors"}
    assert plan.jobs("extract_tokens") == {"results/tiny/tokens/s2/seed0/stage1.npz"}
    assert plan.jobs("train_generator") == {"results/tiny/generators/s2-uvit/seed0/model.safetensors"}
    assert plan.jobs("sample_generator") == {"results/tiny/samples/s2-uvit/two-steps/seed0.npz"}
    assert plan.jobs("score_reconstruction") == {"results/tiny/scores/reconstruction/s2/stage1/seed0.json"}
    assert plan.jobs("score_probe") == {"results/tiny/scores/probe/s2/seed0.json"}
    assert plan.jobs("score_generation") == {"results/tiny/scores/generation/s2-uvit/two-steps/seed0.json"}
    grid = "table4", "table4a", "table4b", "table4c", "table4d"
    assert plan.jobs("make_table") == {f"results/tiny/tables/{name}.csv" for name in grid}
    shown = "figure2", "figure4", "classifier_accuracy", "codebook", "training_curves"
    assert plan.jobs("make_figure") == {f"results/tiny/figures/{name}.svg" for name in shown}
    others = plan.rules.keys() - REPORTING
    assert others == {
        "write_config",
        "train_stage1",
        "extract_tokens",
        "train_generator",
        "sample_generator",
        "score_reconstruction",
        "score_probe",
        "score_generation",
    }


@pytest.mark.parametrize(
    ("key", "value", "made"),
    [
        ("reporting.figure_dpi", 90, {"make_figure": 7}),
        ("reporting.tables.table3b.title", "Schedules", {"make_table": 1}),
        ("title", "Another title", {}),
    ],
)
def test_a_changed_look_trains_and_scores_nothing(edited: Sandbox, key: str, value: object, made: dict) -> None:
    edited.write_study(changed(tiny_document(), key, value))
    plan = edited.plan()
    assert plan.rules == {**made, "judge_checks": 1, "judge_claims": 1, "write_report": 1, "verify_checks": 1}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("evaluation.batch_size", 25),
        ("classifiers.critic.training", {"checkpoint_seconds": 7}),
        ("vqgan.training.keep_checkpoints", 5),
        ("resources.score", {"memory_gb": 2}),
    ],
)
def test_how_jobs_run_makes_nothing_again(edited: Sandbox, key: str, value: object) -> None:
    edited.write_study(changed(tiny_document(), key, value))
    assert edited.plan().rules == {}


def test_another_number_of_samples_leaves_reconstructions_alone(edited: Sandbox) -> None:
    edited.write_study(changed(tiny_document(), "evaluation.num_samples", 90))
    plan = edited.plan()
    assert plan.rules.keys() - REPORTING == {"write_config", "sample_generator", "score_generation"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("evaluation.rounding", "truncate"), ("evaluation.lpips", {"vgg16": {"path": "a"}, "heads": {"path": "b"}})],
)
def test_how_reconstructions_are_scored_leaves_samples_alone(edited: Sandbox, key: str, value: object) -> None:
    edited.write_study(changed(tiny_document(), key, value))
    plan = edited.plan()
    assert plan.rules.keys() - REPORTING == {"write_config", "score_reconstruction", "score_vqgan"}


def test_a_corrected_number_of_the_paper_draws_only_what_shows_it(copy: Sandbox) -> None:
    (copy.folder / "config").unlink()
    shutil.copytree(ROOT / "config", copy.folder / "config")
    with (copy.folder / "config" / "paper.csv").open("a") as stream:
        stream.write("\n")
    plan = copy.plan()
    assert plan.rules == {"make_table": 12, "judge_claims": 1, "write_report": 1, "verify_checks": 1}


@pytest.mark.long
def test_another_reference_is_noticed_and_another_place_is_not(copy: Sandbox) -> None:
    """Snakemake's own `--touch` makes it a study whose samples were scored against a file."""

    def plan_with(path: str) -> Counter[str]:
        copy.write_study(changed(tiny_document(), "evaluation.reference", {"path": path}))
        return copy.plan().rules

    reference, moved = copy.folder / "reference.npz", copy.folder / "elsewhere.npz"
    reference.write_bytes(b"moments of real images")
    assert plan_with("reference.npz")["score_generation"] == 6
    assert copy.snakemake("--touch", "--cores", 1).status == 0
    assert plan_with("reference.npz") == {}
    reference.touch()
    assert plan_with("reference.npz") == {}, "the same bytes"
    shutil.copyfile(reference, moved)
    assert plan_with("elsewhere.npz") == {}, "the same bytes in another place"
    reference.write_bytes(b"moments of other images")
    assert plan_with("reference.npz").keys() - REPORTING == {"write_config", "score_generation"}
    reference.unlink()
    assert plan_with("reference.npz") == {}, "absent here, as it was known"


def test_scores_say_how_many_images_were_looked_at_at_once(finished: Sandbox) -> None:
    for path in (finished.results / "scores").rglob("*.json"):
        assert json.loads(path.read_text())["provenance"]["batch_size"] == 50


@pytest.mark.usefixtures("without_server")
def test_jobs_run_as_the_study_says_now(copy: Sandbox) -> None:
    """The document of a job's settings may be older: nothing but how it runs has changed since."""
    copy.write_study(changed(tiny_document(), "evaluation.batch_size", 25))
    score = copy.results / "scores/reconstruction/s2/stage1/seed0.json"
    before = json.loads(score.read_text())
    score.unlink()
    done = copy.snakemake("--cores", 1, "results/tiny/scores/reconstruction/s2/stage1/seed0.json", torch=True)
    assert done.status == 0, done.said
    after = json.loads(score.read_text())
    assert (before["provenance"]["batch_size"], after["provenance"]["batch_size"]) == (50, 25)
    assert after["protocol_id"] == before["protocol_id"]
    assert after["metrics"]["rfid"]["value"] == pytest.approx(before["metrics"]["rfid"]["value"], rel=1e-5)


def test_a_new_sampler_trains_nothing(edited: Sandbox) -> None:
    document = changed(tiny_document(), "samplers.one-step", {"num_steps": 1})
    edited.write_study(changed(document, "generators.s2-uvit.samplers", ["two-steps", "one-step"]))
    plan = edited.plan()
    assert plan.jobs("sample_generator") == {"results/tiny/samples/s2-uvit/one-step/seed0.npz"}
    assert plan.rules.keys() - REPORTING == {"write_config", "sample_generator", "score_generation"}


def test_another_study_file_of_the_same_name_is_refused(finished: Sandbox) -> None:
    shutil.copyfile(finished.study_file, finished.folder / "other.yaml")
    done = finished.fork("--cores", 1, "--forceall", study="other.yaml")
    assert done.status == 1
    assert "was written by the study file tiny.yaml, but this run reads other.yaml; nothing was touched" in done.said


def test_snakemakes_own_report(finished: Sandbox, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    done = finished.fork("--report", page)
    assert done.status == 0, done.said
    html = page.read_text()
    for word in ("Tables", "Figures", "Report"):
        assert word in html


@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_a_corrupted_model_is_told_and_made_again_from_its_state(copy: Sandbox) -> None:
    model = copy.results / "tokenizers/s2/seed0/stage1/model.safetensors"
    score = "results/tiny/scores/reconstruction/s2/stage1/seed0.json"
    before, others = sha256_file(model), checksums(copy, without=("s2", "logs"))
    (checkpoint,) = (copy.results / "training/tokenizers/s2/seed0/stage1").glob("*/step-*.pt")
    saved, times = checkpoint.stat().st_mtime_ns, model.stat()
    with model.open("r+b") as stream:
        stream.truncate(times.st_size - 50)
    os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))
    done = copy.snakemake("--cores", 1, "--show-failed-logs", "--force", score, torch=True)
    assert done.status == 1
    assert "titok: FileError: results/tiny/tokenizers/s2/seed0/stage1/model.safetensors" in done.said
    assert "it was cut short or altered" in done.said
    assert not (copy.folder / score).exists(), "no score of a broken model"
    assert checksums(copy, without=("s2", "logs")) == others
    model.unlink()
    done = copy.snakemake("--cores", 1, score, torch=True)
    assert done.status == 0, done.said
    assert sha256_file(model) == before
    assert checkpoint.stat().st_mtime_ns == saved, "nothing was trained again"


@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_a_truncated_shard_is_told_and_nothing_else_is_lost(copy: Sandbox) -> None:
    shard = copy.results / "data/test-000000.tar"
    with shard.open("r+b") as stream:
        stream.truncate(shard.stat().st_size // 2)
    score = "results/tiny/scores/reconstruction/s2/stage1/seed0.json"
    others = checksums(copy, without=("s2", "logs"))
    done = copy.snakemake("--cores", 1, "--show-failed-logs", "--force", score, torch=True)
    assert done.status == 1
    assert "titok: ShardError: results/tiny/data/test-000000.tar" in done.said
    assert "prepare the dataset again" in done.said
    assert checksums(copy, without=("s2", "logs")) == others


@pytest.mark.long
@pytest.mark.usefixtures("without_server")
def test_a_truncated_checkpoint_is_told(copy: Sandbox) -> None:
    (checkpoint,) = (copy.results / "training/classifiers/judge").glob("*/step-*.pt")
    with checkpoint.open("r+b") as stream:
        stream.truncate(checkpoint.stat().st_size // 2)
    model = "results/tiny/classifiers/judge/model.safetensors"
    others = checksums(copy, without=("judge", "logs"))
    done = copy.snakemake("--cores", 1, "--show-failed-logs", "--force", model, torch=True)
    assert done.status == 1
    assert "is damaged" in done.said
    assert "titok: CheckpointError: none of the checkpoints in" in done.said
    assert "delete the directory to start from scratch" in done.said
    assert checksums(copy, without=("judge", "logs")) == others


@pytest.mark.long
def test_a_stopped_run_goes_on(copy: Sandbox) -> None:
    """Ctrl-C reaches Snakemake and its jobs alike; the next run needs no special words."""
    training = {"steps": 100_000, "log_every": 1, "checkpoint_seconds": 0.2}
    copy.write_study(changed(tiny_document(), "classifiers.judge.training", training))
    states = copy.results / "training/classifiers/judge"
    (finished,) = states.iterdir()
    first = run_beyond(copy, states, finished, step=0)
    second = run_beyond(copy, states, finished, step=first)
    assert second > first
    (state,) = set(states.iterdir()) - {finished}
    lines = (state / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, second + 1)), "no step twice, none left out"
    assert list(finished.glob("step-*.pt")), "the state of the other settings is still there"


def run_beyond(copy: Sandbox, states: Path, finished: Path, step: int) -> int:
    """Trains the judge until a checkpoint later than ``step`` is there, then presses Ctrl-C; the last step saved."""

    def saved() -> int:
        found = [path for path in states.glob("*/step-*.pt") if path.parent != finished]
        return max((int(path.stem.removeprefix("step-")) for path in found), default=0)

    model = "results/tiny/classifiers/judge/model.safetensors"
    process = copy.start("--cores", 1, model, torch=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while saved() <= step:
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, "the training does not get on"
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode != 0
    assert not (copy.folder / model).exists()
    return saved()


def checksums(sandbox: Sandbox, without: tuple[str, ...]) -> dict[str, str]:
    """SHA-256 of every result whose path holds none of the words."""
    files = (path for path in sandbox.results.rglob("*") if path.is_file())
    names = {str(path.relative_to(sandbox.results)): path for path in files}
    return {name: sha256_file(path) for name, path in names.items() if not any(word in name for word in without)}
