"""Settings of tables and figures: rows that show nothing are refused, names are reported with where they stand.

Run: pytest tests/config/test_reporting.py
"""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from titok.config.figure_settings import Reconstructions, Samples
from titok.config.figures import Figures, ReconstructionImages
from titok.config.reporting import Reporting, Tables
from titok.config.rows import CurveRun, Grid, GridGenerators, Row, Table


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Row(label="x"), "row 'x' names nothing to show"),
        (lambda: Row(label="x", generator="g"), "give both or neither"),
        (lambda: Row(label="x", paper="table1"), "String should match pattern"),
        (lambda: Grid(tokens=(4, 2)), "list each K once, from few to many"),
        (lambda: Grid(tokens=(1,), tokenizer="{size}"), "it needs both"),
        (
            lambda: Grid(tokens=(1, 2), generators=GridGenerators(pattern="{size}{k}", sampler="e", tokens=(8,))),
            r"generators.tokens is \[8\], which is not part of the grid's \[1, 2\]",
        ),
        (
            lambda: Tables(
                sampling_rules=Table(
                    rows=tuple(Row(label=name, generator=name, sampler="s") for name in ("one", "other"))
                )
            ),
            "rows of one on None, other on None; its rows compare samplers of one generator",
        ),
        (lambda: CurveRun(label="x"), "name exactly one"),
        (lambda: CurveRun(label="x", tokenizer="a", generator="b"), "name exactly one"),
        (lambda: Figures(figure2=(Row(label="x", tokenizer="l2"),)), "has no speed"),
        (lambda: Reconstructions(rows=(Row(label="x", paper="table1/a"),)), "names no tokenizer"),
        (lambda: Tables(table9=None), "Extra inputs are not permitted"),
    ],
)
def test_impossible_settings_are_refused(build, message):
    with pytest.raises(ValidationError, match=message):
        build()


@pytest.fixture
def reporting() -> Reporting:
    return Reporting(
        tables=Tables(
            table1=Table(
                rows=(
                    Row(label="a", tokenizer="l2", generator="g", sampler="e"),
                    Row(label="v", tokenizer="vqgan"),
                )
            ),
            table4=Grid(
                sizes=("s", "l"),
                tokens=(1, 2),
                generators=GridGenerators(pattern="{size}{k}-vit", sampler="e", sizes=("l",), tokens=(2,)),
            ),
        ),
        figures=Figures(
            training_curves=(CurveRun(label="c", classifier="judge"),), samples=Samples(generator="g", sampler="e")
        ),
    )


def test_names_are_reported_with_their_place(reporting):
    references = list(reporting.references())
    assert ("tokenizer", "l2", "reporting.tables.table1.rows.0.tokenizer") in references
    assert ("sampler", "e", "reporting.tables.table1.rows.0.sampler") in references
    assert ("classifier", "judge", "reporting.figures.training_curves.0.classifier") in references
    assert ("generator", "g", "reporting.figures.samples.generator") in references
    assert {name for kind, name, _ in references if kind == "tokenizer"} == {"l2", "s1", "s2", "l1"}
    assert ("generator", "l2-vit", "reporting.tables.table4.generator") in references
    assert not any(name == "vqgan" for _, name, _ in references)
    assert ("l2", "stage2", "reporting.tables.table1.rows.0.stage") in list(reporting.stages())
    assert ("s1", "stage1", "reporting.tables.table4.stage") in list(reporting.stages())
    assert ("l2-vit", "e", "reporting.tables.table4.sampler") in list(reporting.runs())


def test_score_files_of_tables_and_figures(reporting):
    assert reporting.tables.names == ("table1", "table4")
    assert reporting.tables.scores("table1") == (
        "reconstruction/l2/stage2",
        "generation/g/e",
        "reconstruction/vqgan",
    )
    grid = reporting.tables.scores("table4")
    assert "reconstruction/s2/stage1" in grid
    assert "probe/l2" in grid
    assert [stem for stem in grid if stem.startswith("generation/")] == ["generation/l2-vit/e"]
    assert reporting.wanted_figures["figure4"].scores == grid
    assert reporting.wanted_figures["codebook"].scores == grid
    assert list(reporting.wanted_figures) == [
        "figure4",
        "samples",
        "classifier_accuracy",
        "codebook",
        "training_curves",
    ]
    assert Reporting().wanted_figures == {}


def test_example_files_of_reconstructions():
    rows = (Row(label="a", tokenizer="l2"), Row(label="b", tokenizer="vqgan"))
    shown = ReconstructionImages(Reconstructions(rows=rows, seed=1))
    assert shown.images == ("examples/l2/stage2/seed1.npz", "examples/vqgan.npz")


@pytest.mark.parametrize(
    ("run", "task", "directory"),
    [
        (CurveRun(label="x", tokenizer="vqgan"), "proxy VQGAN", "vqgan"),
        (CurveRun(label="x", tokenizer="l2", stage="stage2"), "stage 2", "tokenizers/l2/seed3/stage2"),
        (CurveRun(label="x", generator="g"), "generator", "generators/g/seed3"),
        (CurveRun(label="x", classifier="judge"), "classifier", "classifiers/judge"),
    ],
)
def test_curves_know_their_folder(run, task, directory):
    assert (run.task, run.directory(3)) == (task, directory)


def test_a_generator_called_like_the_2d_vqgan_is_looked_up_as_any_other() -> None:
    """Only as a tokenizer the name needs no entry of its own."""
    shown = Table(rows=(Row(label="a", tokenizer="vqgan", generator="vqgan", sampler="vqgan"),))
    found = [(kind, name) for kind, name, _ in Reporting(tables=Tables(table1=shown)).references()]
    assert found == [("generator", "vqgan"), ("sampler", "vqgan")]
