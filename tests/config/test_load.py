"""Study files are read strictly: every mistake is told with its key, its value, what is allowed and what to do.

Run: pytest tests/config/test_load.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from config.studies import SHIPPED, TINY, changed, tiny_document, without

from titok.config.data_jobs import DataJob
from titok.config.jobs import job, job_names
from titok.config.load import ConfigError, apply_defaults, dump_yaml, load_job, load_study, merge, read_yaml
from titok.config.measuring_jobs import SampleJob
from titok.config.study import Study
from titok.config.training_jobs import GeneratorJob


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_study_loads(path: Path) -> None:
    study = load_study(path)
    assert study.study == path.stem, "a study is called as its file, so that people find its results"
    assert study.reporting.tables.names


def refusal(tmp_path: Path, text: str | bytes) -> str:
    """What people read when they hand over a file with this content."""
    path = tmp_path / "study.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        load_study(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    return message


MISTAKES = [
    # An unknown key: the key, its value, what is allowed, the likely typo.
    (
        changed(tiny_document(), "defaults.tokenizer.stage1.training.stepz", 30),
        ("tokenizers.s1.stage1.training.stepz", "unknown key (value 30)", "allowed here:", "did you mean 'steps'?"),
    ),
    (changed(tiny_document(), "colour", "red"), ("colour: unknown key (value 'red')", "token_views", "remove it")),
    (changed(tiny_document(), "default", {}), ("did you mean 'defaults'?",)),
    (changed(tiny_document(), "defaults.tokeniser", {}), ("defaults.tokeniser", "did you mean 'tokenizer'?")),
    (changed(tiny_document(), "tokenizers.s1.vq", True), ("tokenizers.s1.vq", "unknown key (value True)", "code_dim")),
    # Missing things.
    (without(tiny_document(), "dataset"), ("dataset: missing; add it",)),
    (without(tiny_document(), "vqgan"), ("tokenizers.s1 has recipe 'two_stage' but the study has no vqgan section",)),
    (
        changed(tiny_document(), "defaults.tokenizer.stage1", None),
        (
            "tokenizers.s1",
            "stage1 is missing; add its",
        ),
    ),
    # Wrong types and impossible numbers.
    (changed(tiny_document(), "defaults.generator.training.steps", "many"), ("found 'many'", "valid integer")),
    (changed(tiny_document(), "defaults.generator.training.batch_size", -32), ("found -32", "greater than 0")),
    (changed(tiny_document(), "defaults.sampler.guidance_scale", float("inf")), ("found inf", "finite number")),
    (changed(tiny_document(), "seeds", [-1]), ("seeds.0: found -1", "greater than or equal to 0")),
    (changed(tiny_document(), "seeds", []), ("seeds: found []", "at least 1 item")),
    (changed(tiny_document(), "tokenizers.s1.seeds", [1, 1]), ("tokenizers.s1.seeds", "[1, 1]", "list each once")),
    (changed(tiny_document(), "classifiers", ["judge"]), ("classifiers: found ['judge']", "valid dictionary")),
    (changed(tiny_document(), "defaults", ["tokenizer"]), ("defaults holds list, expected a mapping",)),
    (changed(tiny_document(), "study", "../elsewhere"), ("study: found '../elsewhere'",)),
    (changed(tiny_document(), "defaults.generator.training.schedule.warmup_steps", 21), ("21", "allowed: 0 to 20")),
    # Numbers that do not fit each other.
    (
        changed(tiny_document(), "tokenizers.s2.num_latent_tokens", 65),
        ("tokenizers.s2: num_latent_tokens is 65", "allowed: 1 to 64", "make patch_size smaller"),
    ),
    (changed(tiny_document(), "tokenizers.s2.patch_size", 8), ("tokenizers.s2.patch_size is 8", "must be equal")),
    (changed(tiny_document(), "tokenizers.s2.patch_size", 5), ("does not divide image_size 16",)),
    (
        changed(tiny_document(), "generators.s2-uvit.model.depth", 3),
        ("s2-uvit.model", "needs an even depth"),
    ),
    (changed(tiny_document(), "sizes.s.num_heads", 3), ("sizes.s: num_heads is 3", "choose a divisor")),
    (changed(tiny_document(), "dataset.num_classes", 9), ("num_classes is 9", "set num_classes: 10")),
    # Names nobody defined.
    (
        changed(tiny_document(), "generators.s2-uvit.tokenizer", "s22"),
        (
            "generators.s2-uvit.tokenizer is 's22'",
            "no tokenizer of that name",
            "allowed: b-2d, b2-final",
            "did you mean 's2'?",
        ),
    ),
    (changed(tiny_document(), "tokenizers.s1.encoder", "xl"), ("tokenizers.s1.encoder is 'xl'", "allowed: b, s")),
    (changed(tiny_document(), "evaluation.extractor.classifier", "juge"), ("did you mean 'judge'?",)),
    (
        changed(tiny_document(), "vqgan.losses.perceptual.classifier", "x"),
        ("perceptual.classifier is 'x'",),
    ),
    (
        changed(tiny_document(), "generators.s2-uvit.samplers", ["three"]),
        ("'three'", "allowed: maskgit, maskgit-by-titok, two-steps, unguided"),
    ),
    (changed(tiny_document(), "tokenizers.vqgan", {}), ("tokenizers.vqgan.encoder: missing",)),
    (
        changed(tiny_document(), "tokenizers.vqgan", {"encoder": "s", "decoder": "s", "num_latent_tokens": 1}),
        ("'vqgan', the name of the study's 2D VQGAN",),
    ),
    # Things that are there, but were not asked to be made.
    (
        changed(tiny_document(), "generators.s2-uvit.seeds", [0, 3]),
        ("generators.s2-uvit.seeds has [3]", "'s2' is not trained", "allowed: [0]"),
    ),
    (changed(tiny_document(), "generators.s2-uvit.stage", "stage2"), ("is 'stage2'", "allowed: stage1")),
    (
        changed(tiny_document(), "generators.s2-uvit.tokenizer", "b2-single"),
        ("reporting.tables.table4 shows tokenizer 's2', but generator 's2-uvit' learns the tokens of 'b2-single'",),
    ),
    (
        changed(tiny_document(), "reporting.figures.samples.sampler", "unguided-2"),
        ("reporting.figures.samples.sampler is 'unguided-2'", "did you mean 'unguided'?"),
    ),
    (
        changed(tiny_document(), "reporting.figures.samples", {"generator": "s2-uvit", "sampler": "unguided"}),
        ("reporting.figures.samples.sampler is 'unguided'", "allowed: two-steps"),
    ),
    (changed(tiny_document(), "reporting.figures.samples.seed", 7), ("samples.seed is 7", "allowed: [0]")),
    (changed(tiny_document(), "reporting.figures.reconstructions.seed", 7), ("reconstructions.seed is 7",)),
    (changed(tiny_document(), "reporting.tables.table4.stage", "stage2"), ("table4.stage is 'stage2'", "stage1")),
]


@pytest.mark.parametrize(
    ("document", "words"), MISTAKES, ids=lambda value: value[0] if isinstance(value, tuple) else ""
)
def test_mistakes_are_told_with_key_value_and_way_out(tmp_path: Path, document: dict, words: tuple[str, ...]) -> None:
    message = refusal(tmp_path, yaml.safe_dump(document, sort_keys=False))
    for word in words:
        assert word in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    document = changed(changed(tiny_document(), "colour", "red"), "dataset.resize", "big")
    message = refusal(tmp_path, yaml.safe_dump(without(document, "title"), sort_keys=False))
    assert "3 problem(s) found" in message
    for key in ("colour", "dataset.resize", "title"):
        assert f"\n  - {key}: " in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("study: a\nstudy: b\n", "the key 'study' stands twice in one section; keep one of them"),
        ("dataset: {resize: 18, resize: 20}\n", "the key 'resize' stands twice"),
        ("dataset: {resize: 18\n", "not valid YAML"),
        ("? [a]\n: b\n", "a key must be a plain name"),
        ("- a\n- b\n", "holds list, expected a mapping"),
        ("", "holds NoneType, expected a mapping"),
        (b"\xff\xfe", "not UTF-8 text"),
    ],
)
def test_files_that_are_no_studies(tmp_path: Path, text: str | bytes, words: str) -> None:
    assert words in refusal(tmp_path, text)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; check the path"):
        load_study(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_study(tmp_path)


def test_aliases_and_merge_keys_of_yaml_work(tmp_path: Path) -> None:
    path = tmp_path / "merged.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\n")
    assert read_yaml(path)["b"] == {"x": 1, "y": 3}


def test_numbers_with_an_exponent_are_numbers(tmp_path: Path) -> None:
    """YAML 1.1 reads `1e-3` as text; people write it, and it means a number."""
    path = tmp_path / "study.yaml"
    path.write_text(TINY.read_text().replace("learning_rate: 0.003", "learning_rate: 3e-3"))
    assert load_study(path) == load_study(TINY)


def test_merging_goes_key_by_key_and_replaces_lists_and_values() -> None:
    base = {"training": {"steps": 1, "betas": [1, 2]}, "kind": "a"}
    merged = merge(base, {"training": {"betas": [3]}, "new": None})
    assert merged == {"training": {"steps": 1, "betas": [3]}, "kind": "a", "new": None}
    assert base == {"training": {"steps": 1, "betas": [1, 2]}, "kind": "a"}
    assert merge({"a": 1}, 2) == 2


def test_defaults_lie_under_every_entry_and_disappear() -> None:
    document = apply_defaults(
        {
            "defaults": {"tokenizer": {"code_dim": 4, "stage1": {"training": {"steps": 5}}}},
            "tokenizers": {"plain": None, "own": {"code_dim": 8, "stage1": {"training": {"batch_size": 2}}}},
            "samplers": {"untouched": {}},
        },
        Path("study.yaml"),
    )
    assert document == {
        "tokenizers": {
            "plain": {"code_dim": 4, "stage1": {"training": {"steps": 5}}},
            "own": {"code_dim": 8, "stage1": {"training": {"steps": 5, "batch_size": 2}}},
        },
        "samplers": {"untouched": {}},
    }


def test_resolved_jobs_survive_the_way_through_their_file(tmp_path: Path) -> None:
    study = load_study(TINY)
    for kind, name in job_names(study):
        settings = job(study, kind, name)
        path = tmp_path / f"{kind}-{name}.yaml"
        path.write_text(dump_yaml(settings))
        assert load_job(path, type(settings)) == settings


@pytest.mark.parametrize("study_file", SHIPPED, ids=lambda path: path.stem)
def test_what_decides_no_result_may_be_said_anew(study_file: Path, tmp_path: Path) -> None:
    """Everything that the workflow hands over is taken, of every job of every study."""
    study = load_study(study_file)
    for kind, name in job_names(study):
        settings = job(study, kind, name)
        path = tmp_path / f"{kind}-{name}.yaml"
        path.write_text(dump_yaml(settings))
        assert load_job(path, type(settings), settings.execution()) == settings


@pytest.mark.parametrize(
    ("kind", "name", "execution", "words"),
    [
        (
            "sample",
            "two-steps",
            {"batch_size": 7, "sampler": {"num_steps": 1}},
            r"names sampler\.num_steps, which .*: batch_",
        ),
        (
            "stage1",
            "s2",
            {"training": {"steps": 9, "keep_checkpoints": 3}},
            r"names training\.steps, .*: training\.check",
        ),
        ("tokens", "all", {"views": {"crops": "five"}}, r"names views\.crops, .* allowed here: nothing;"),
    ],
)
def test_what_decides_a_result_may_not(
    kind: Any, name: str, execution: dict[str, Any], words: str, tmp_path: Path
) -> None:
    settings = job(load_study(TINY), kind, name)
    path = tmp_path / "job.yaml"
    path.write_text(dump_yaml(settings))
    with pytest.raises(ConfigError, match=words):
        load_job(path, type(settings), execution)


def test_execution_is_said_anew(tmp_path: Path) -> None:
    settings = job(load_study(TINY), "sample", "two-steps")
    path = tmp_path / "job.yaml"
    path.write_text(dump_yaml(settings))
    told = load_job(path, SampleJob, {"batch_size": 7})
    assert (told.batch_size, told.identity()) == (7, settings.identity())


def test_job_files_are_as_strict(tmp_path: Path) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(dump_yaml(job(load_study(TINY), "data", "all")))
    with pytest.raises(ConfigError, match="dataset: unknown key"):
        load_job(path, GeneratorJob)
    path.write_text(path.read_text().replace("500", "many"))
    with pytest.raises(ConfigError, match=r"dataset\.test_images: found 'many'"):
        load_job(path, DataJob)


def test_studies_cannot_be_changed_behind_the_back(tmp_path: Path) -> None:
    study: Study = load_study(TINY)
    with pytest.raises(ValueError, match="frozen"):
        study.title = "other"  # type: ignore[misc]
