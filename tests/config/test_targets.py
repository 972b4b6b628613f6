"""Paths that the workflow asks for, and the facts that scores carry along.

Run: pytest tests/config/test_targets.py
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from config.studies import SHIPPED, TINY, changed, study_of, tiny_document, without

from titok.config.load import load_study
from titok.config.targets import Targets


@pytest.fixture
def targets() -> Targets:
    return Targets(load_study(TINY))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_nothing_is_asked_for_twice_and_everything_lies_in_the_study(path: Any) -> None:
    targets = Targets(load_study(path))
    wanted = targets.everything()
    assert len(wanted) == len(set(wanted))
    assert all(name.startswith(f"results/{path.stem}/") for name in wanted)
    shown = {name for table in targets.study.reporting.tables.names for name in targets.table_scores(table)}
    drawn = {name for figure in targets.study.reporting.wanted_figures for name in targets.figure_scores(figure)}
    assert shown | drawn <= set(wanted), "what is shown is scored"


def test_every_seed_of_a_thing_has_its_files(targets: Targets) -> None:
    assert targets.reconstruction_scores("s1", "stage1") == [
        "results/tiny/scores/reconstruction/s1/stage1/seed0.json",
        "results/tiny/scores/reconstruction/s1/stage1/seed1.json",
    ]
    assert [path for path in targets.tokenizer_models() if "/s1/" in path] == [
        "results/tiny/tokenizers/s1/seed0/stage1/model.safetensors",
        "results/tiny/tokenizers/s1/seed1/stage1/model.safetensors",
    ]
    assert targets.generator_models() == [
        "results/tiny/generators/b2-vit/seed0/model.safetensors",
        "results/tiny/generators/s2-uvit/seed0/model.safetensors",
        "results/tiny/generators/maskgit/seed0/model.safetensors",
    ]
    stages = list(targets.trained_stages())
    assert [stage for name, stage in stages if name == "b2-final"] == ["stage1", "stage2"]
    manifests = targets.manifests()
    assert len(manifests) == len(set(manifests)) == 3 + 8 + 3
    assert all(path.endswith("/manifest.json") for path in manifests)


def test_every_table_and_figure_in_every_format(targets: Targets) -> None:
    products = targets.products()
    for table in ("table1", "table2", "table3a", "table3b", "table3c", "table4", "table4a", "table4d", "table5"):
        assert {f"results/tiny/tables/{table}.{ending}" for ending in ("csv", "md", "tex")} <= set(products)
    assert len(targets.study.reporting.wanted_figures) == 7
    for figure in targets.study.reporting.wanted_figures:
        assert {f"results/tiny/figures/{figure}.{ending}" for ending in ("svg", "png", "csv")} <= set(products)
    for name in ("checks.json", "report.html", "verdict.txt"):
        assert f"results/tiny/{name}" in products


def test_a_table_needs_its_own_scores_only(targets: Targets) -> None:
    assert targets.table_scores("table3b") == ["results/tiny/scores/generation/b2-vit/two-steps/seed0.json"]
    assert targets.table_scores("table1") == [
        "results/tiny/scores/reconstruction/b2-final/stage2/seed0.json",
        "results/tiny/scores/generation/b2-vit/two-steps/seed0.json",
        "results/tiny/scores/reconstruction/vqgan.json",
    ]
    assert targets.figure_scores("training_curves") == []
    with pytest.raises(ValueError, match="'x/y' is no score"):
        targets.score_files(["x/y"])


def test_a_figure_reads_its_logs_and_images(targets: Targets) -> None:
    assert targets.figure_logs("training_curves") == [
        "results/tiny/tokenizers/s2/seed0/stage1/metrics.jsonl",
        "results/tiny/tokenizers/b2-final/seed0/stage2/metrics.jsonl",
        "results/tiny/generators/b2-vit/seed0/metrics.jsonl",
        "results/tiny/vqgan/metrics.jsonl",
    ]
    assert [path.replace("manifest.json", "metrics.jsonl") for path in targets.figure_manifests("training_curves")] == (
        targets.figure_logs("training_curves")
    )
    assert targets.figure_logs("figure4") == []
    assert targets.figure_images("samples") == ["results/tiny/samples/b2-vit/two-steps/seed0.npz"]
    assert targets.figure_images("reconstructions") == [
        "results/tiny/examples/s1/stage1/seed0.npz",
        "results/tiny/examples/b2-final/stage2/seed0.npz",
    ]
    assert targets.figure_images("figure2") == []


def test_curves_show_the_first_seed_that_a_run_has() -> None:
    document = changed(changed(tiny_document(), "tokenizers.s2.seeds", [5]), "generators.s2-uvit.seeds", [5])
    logs = Targets(study_of(document)).figure_logs("training_curves")
    assert logs[0] == "results/tiny/tokenizers/s2/seed5/stage1/metrics.jsonl"


REPORT_CHANGES: list[tuple[str, Any, set[str], set[str]]] = [
    ("reporting.figure_dpi", 200, set(), {"every figure"}),
    ("reporting.tables.table3b.title", "Schedules", {"table3b"}, set()),
    ("reporting.tables.table4.title", "Grid", {"table4"}, {"figure4", "classifier_accuracy", "codebook"}),
    ("reporting.figures.samples.per_class", 4, set(), {"samples"}),
    ("reporting.tables.comparison", "values", {"every table"}, set()),
    ("reporting.checks.min_skill", 0.33, set(), set()),
    ("reporting.notes", ["A note."], set(), set()),
    ("title", "Another", set(), set()),
]


@pytest.mark.parametrize(("key", "value", "tables", "figures"), REPORT_CHANGES, ids=[key for key, *_ in REPORT_CHANGES])
def test_report_settings_change_what_they_show(
    targets: Targets, key: str, value: object, tables: set[str], figures: set[str]
) -> None:
    after = Targets(study_of(changed(tiny_document(), key, value)))
    reporting = targets.study.reporting
    expected = set(reporting.wanted_figures) if figures == {"every figure"} else figures
    for name in reporting.tables.names:
        differs = after.report_settings(table=name) != targets.report_settings(table=name)
        assert differs == (name in tables or tables == {"every table"}), name
    for name in reporting.wanted_figures:
        differs = after.report_settings(figure=name) != targets.report_settings(figure=name)
        assert differs == (name in expected), name
    assert after.report_settings() != targets.report_settings(), "the page shows all of it"


def test_training_settings_leave_the_report_settings_alone(targets: Targets) -> None:
    after = Targets(study_of(changed(tiny_document(), "probe.steps", 21)))
    assert after.report_settings() == targets.report_settings()


def test_subjects_carry_the_study_s_names_and_nothing_that_models_say_of_themselves(targets: Targets) -> None:
    generation = json.loads(targets.subject(generator="b2-vit", sampler="unguided", seed="0"))
    assert generation == {
        "seed": 0,
        "generator": "b2-vit",
        "sampler": "unguided",
        "tokenizer": "b2-final",
        "stage": "stage2",
        "recipe": "two_stage",
        "size": "b",
    }
    reconstruction = json.loads(targets.subject(tokenizer="s1", stage="stage1", seed=1))
    assert (reconstruction["seed"], reconstruction["size"]) == (1, "s")
    assert "generator" not in reconstruction
    vqgan = json.loads(targets.vqgan_subject())
    assert (vqgan["tokenizer"], vqgan["recipe"]) == ("vqgan", "vqgan_2d")


def test_every_classifier_has_a_seed_of_its_own(targets: Targets) -> None:
    assert [targets.classifier_seed(name) for name in ("judge", "critic")] == [0, 1]


def test_studies_without_a_vqgan() -> None:
    document = without(without(tiny_document(), "vqgan"), "reporting")
    document["tokenizers"] = {"b2-single": document["tokenizers"]["b2-single"]}
    targets = Targets(study_of({**document, "generators": {}, "baselines": {}}))
    assert targets.vqgan_score() == []
    assert not any("vqgan" in path for path in (*targets.everything(), *targets.manifests()))
    with pytest.raises(KeyError, match="no vqgan"):
        targets.vqgan_subject()
