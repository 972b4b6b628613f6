"""Figures: the numbers behind them, a mark per number, labelled axes, no legend over data, equal bytes when redrawn.

Run: pytest tests/reporting/test_figures.py; after a meant change of the synthetic study, delete the file in
snapshots/ that differs and run again: it is written anew, and the test fails once so that nobody overlooks it.
"""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from titok.config.rows import CurveRun
from titok.errors import ScoreError
from titok.reporting.collect import MissingScore, read_scores
from titok.reporting.figures.classifier_accuracy import classifier_accuracy
from titok.reporting.figures.codebook import codebook
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.figure2 import figure2
from titok.reporting.figures.figure4 import PAPER_GREY, figure4
from titok.reporting.figures.gallery import make_figure
from titok.reporting.figures.over_k import _has_room
from titok.reporting.figures.training_curves import training_curves
from titok.reporting.grid import curve, grid_frame, rank_correlation
from titok.reporting.labels import bars_of, place_labels
from titok.reporting.paper import read_paper
from titok.reporting.style import LOOKS, figure_style, new_axes

SNAPSHOTS = Path(__file__).parent / "snapshots"
SVG = "{http://www.w3.org/2000/svg}"
CHARTS = ("figure4", "figure2", "classifier_accuracy", "codebook", "training_curves")


def texts(path: Path) -> list[str]:
    """Every text of an SVG."""
    return ["".join(node.itertext()) for node in ElementTree.parse(path).iter(f"{SVG}text")]


@pytest.fixture
def drawn(tree, reporting, tmp_path):
    """Draws a chart by name and returns its paths by suffix."""

    def draw(name: str, folder: str = "figures") -> dict[str, Path]:
        prefix = tmp_path / folder / name
        paths = make_figure(name, reporting, prefix, Sources(tree.scores, tree.logs))
        return {path.suffix: path for path in paths}

    return draw


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        (
            "figure4",
            ["latent tokens K"] * 4
            + ["digits-rFID", "linear probe top-1 (%)", "digits-gFID", "sampling speed (images/s)"]
            + ["TiTok-S", "TiTok-B", "TiTok-L"],
        ),
        ("figure2", ["sampling speed (images/s)", "digits-gFID", "TiTok-L-1", "TiTok-L-8"]),
        ("classifier_accuracy", ["latent tokens K", "read as their label (%)", "real images: 99 %", "guessing: 11 %"]),
        ("codebook", ["latent tokens K"] * 2 + ["codebook usage (%)", "codebook perplexity (codes)"]),
        ("training_curves", ["step (optimiser updates)", "loss"] * 3 + ["stage 1", "proxy VQGAN", "generator"]),
    ],
)
def test_every_axis_is_labelled_and_the_data_is_as_before(drawn, name, labels):
    paths = drawn(name)
    found = texts(paths[".svg"])
    for label in set(labels):
        assert found.count(label) >= labels.count(label), f"{label!r} in {found}"
    snapshot = SNAPSHOTS / f"{name}.csv"
    if not snapshot.exists():
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_bytes(paths[".csv"].read_bytes())
        pytest.fail(f"{snapshot} was missing and is now written; look at it and commit it")
    pd.testing.assert_frame_equal(pd.read_csv(paths[".csv"]), pd.read_csv(snapshot), rtol=1e-9)
    assert paths[".png"].read_bytes().startswith(b"\x89PNG")


def test_redrawing_gives_the_same_bytes(drawn):
    first, second = drawn("classifier_accuracy"), drawn("classifier_accuracy", "again")
    for suffix in (".svg", ".png", ".csv"):
        assert first[suffix].read_bytes() == second[suffix].read_bytes()
    assert b"<dc:date>" not in first[".svg"].read_bytes()


def test_figure4_has_a_line_with_a_mark_per_k_and_size(tree, reporting):
    scores = read_scores(tree.scores)
    grid = reporting.tables.table4
    drawing = figure4(grid, grid_frame(grid, scores), scores)
    panels = drawing.figure.axes
    assert [len(panel.get_lines()) for panel in panels] == [3, 3, 3, 3]
    lowest = panels[0].get_lines()[2]
    assert lowest.get_xdata().tolist() == [1, 2, 4, 8]
    assert np.allclose(lowest.get_ydata(), [18.0, 10.7844, 6.4171, 3.7972], atol=1e-3)
    assert panels[0].get_xscale() == "log"
    assert [tick.get_text() for tick in panels[0].get_xticklabels()] == ["1", "2", "4", "8"]
    band = panels[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(24 / 8**0.8 - 0.2)
    assert band[:, 1].max() == pytest.approx(24.2)


def test_legends_lie_outside_the_panels(tree, reporting):
    scores = read_scores(tree.scores)
    grid = reporting.tables.table4
    frame = grid_frame(grid, scores)
    with figure_style():
        drawings = [
            figure4(grid, frame, scores),
            codebook(grid, frame, scores),
            classifier_accuracy(grid, frame, scores),
            training_curves(reporting.figures.training_curves, tree.logs),
        ]
        for drawing in drawings:
            drawing.figure.draw_without_rendering()
            legends = [*drawing.figure.legends, *(axes.get_legend() for axes in drawing.figure.axes)]
            boxes = [legend.get_window_extent() for legend in legends if legend]
            assert boxes
            for axes in drawing.figure.axes:
                panel = axes.get_window_extent()
                assert not any(panel.overlaps(box) for box in boxes if axes.axison)


def test_figure2_shows_how_sure_its_points_are(tree, reporting):
    name = next(iter(reporting.figures.figure2)).generator
    path = tree.root / f"scores/generation/{name}/eight/seed0.json"
    record = json.loads(path.read_text())
    for metric, low, high in (("gfid", 5.5, 6.75), ("sampling_images_per_second", 850.0, 960.0)):
        record["metrics"][metric]["interval"] = {"low": low, "high": high, "coverage": 0.95}
    path.write_text(json.dumps(record))
    drawing = figure2(reporting.figures.figure2, read_scores(tree.scores))
    point = drawing.data.iloc[0]
    assert tuple(point[["speed_low", "speed_high", "gfid_low", "gfid_high"]]) == (850, 960, 5.5, 6.75)
    across, along = (bar.get_segments()[0] for bar in drawing.figure.axes[0].collections[:2])
    np.testing.assert_array_equal(across, [[850, 6], [960, 6]])
    np.testing.assert_array_equal(along, [[900, 5.5], [900, 6.75]])


def test_figure2_is_drawn_where_a_speed_s_interval_reaches_below_0(tree, reporting):
    """As that of a mean over three sittings does on a machine that does something else in one of them."""
    name = next(iter(reporting.figures.figure2)).generator
    path = tree.root / f"scores/generation/{name}/eight/seed0.json"
    record = json.loads(path.read_text())
    record["metrics"]["sampling_images_per_second"]["interval"] = {"low": -300.0, "high": 2100.0, "coverage": 0.95}
    path.write_text(json.dumps(record))
    drawing = figure2(reporting.figures.figure2, read_scores(tree.scores))
    drawing.figure.draw_without_rendering()
    assert drawing.data.iloc[0]["speed_low"] == -300
    left, right = drawing.figure.axes[0].get_xlim()
    assert 0 < left < drawing.data["images_per_second"].min()
    assert right > 2100


def test_figure2_labels_cover_neither_points_nor_each_other(tree, reporting):
    with figure_style():
        drawing = figure2(reporting.figures.figure2, read_scores(tree.scores))
        drawing.figure.draw_without_rendering()
    (axes,) = drawing.figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    points = [axes.transData.transform(line.get_xydata()[0]) for line in axes.get_lines()]
    assert len(boxes) == len(points) == 4
    assert not any(box.contains(*point) for box in boxes for point in points)
    assert not any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i])


def test_labels_of_crowded_points_avoid_each_other():
    x, y = np.array([1.0, 1.02, 1.04, 1.0]), np.array([1.0, 1.01, 1.0, 1.03])
    with figure_style():
        figure, (axes,) = new_axes(1, 5, 4)
        axes.plot(x, y, "o")
        axes.set_xlim(0.8, 1.3)
        axes.set_ylim(0.8, 1.3)
        place_labels(axes, x, y, ["one long label", "two long label", "three long label", "four long label"])
        figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4
    assert not any(one.overlaps(two) for i, one in enumerate(boxes) for two in boxes[:i])
    assert all(
        axes.get_window_extent().containsx(box.x0) and axes.get_window_extent().containsx(box.x1) for box in boxes
    )


def test_labels_leave_the_bars_of_points_readable():
    x, y = np.array([1.0, 1.1]), np.array([1.0, 1.2])
    with figure_style():
        figure, (axes,) = new_axes(1, 5, 4)
        axes.set_xlim(0.5, 1.6)
        axes.set_ylim(0.8, 1.5)
        axes.hlines(1.0, 0.7, 1.4)
        axes.vlines(1.1, 0.9, 1.4)
        place_labels(axes, x, y, ["a wide bar", "a high bar"])
        figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == len(bars_of(axes)) == 2
    assert not any(box.overlaps(bar) for box in boxes for bar in bars_of(axes))


def test_sizes_differ_in_grey_in_marker_and_in_line():
    grey = [np.dot(to_rgb(look.color), (0.299, 0.587, 0.114)) for look in LOOKS[:3]]
    assert grey[0] - grey[1] > 0.05
    assert grey[1] - grey[2] > 0.15
    assert len({look.marker for look in LOOKS[:3]}) == 3
    assert len({look.line for look in LOOKS[:3]}) == 3


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6])
def test_rank_correlation_of_every_order_is_exact(count):
    """1 - 6 d^2 / (n (n^2 - 1)) as the fraction's own float: -0.8 is not -0.7999999999999998."""
    for order in itertools.permutations(range(count)):
        squares = sum((a - b) ** 2 for a, b in enumerate(order))
        exact = 1 - Fraction(6 * squares, count * (count**2 - 1))
        values = pd.DataFrame({"k": [2**place for place in range(count)], "mean": [10.0 * rank for rank in order]})
        assert rank_correlation(values) == float(exact)
    found = pd.DataFrame({"k": [1, 2, 4, 8], "mean": [60.95, 20.17, 8.32, 8.44]})
    assert rank_correlation(found) == -0.8


@pytest.mark.parametrize("means", [[1.0, 2.0, 2.0, 0.5], [1.0, 1.0, 2.0, 2.0], [3.0, 3.0, 3.0, 1.0]])
def test_rank_correlation_of_ties_agrees_with_scipy(means):
    from scipy.stats import spearmanr

    values = pd.DataFrame({"k": [1, 2, 4, 8], "mean": means})
    assert rank_correlation(values) == pytest.approx(spearmanr(values["k"], values["mean"]).statistic, rel=1e-14)


@pytest.mark.parametrize("means", [[2.0, 2.0, 2.0], [1.0, float("nan"), 0.0], [1.0, float("inf"), 0.0]])
def test_without_order_there_is_no_rank_correlation(means):
    assert np.isnan(rank_correlation(pd.DataFrame({"k": [1, 2, 4], "mean": means})))


def test_rank_correlation_agrees_with_scipy(tree, reporting):
    from scipy.stats import spearmanr

    frame = grid_frame(reporting.tables.table4, read_scores(tree.scores))
    assert rank_correlation(curve(frame, "rfid", "b")) == pytest.approx(-1.0)
    shuffled = pd.DataFrame({"k": [1, 2, 4, 8], "mean": [3.0, 4.0, 1.0, 2.0]})
    assert rank_correlation(shuffled) == pytest.approx(spearmanr(shuffled["k"], shuffled["mean"]).statistic)
    assert np.isnan(rank_correlation(shuffled.head(1)))


def test_what_is_missing_is_named(tree, reporting, tmp_path):
    with pytest.raises(MissingScore, match=r"scores/reconstruction/s1/stage1/seed"):
        make_figure("figure4", reporting, tmp_path / "x", Sources())
    with pytest.raises(MissingScore, match=r"tokenizers/l2/seed0/stage1/metrics\.jsonl.*'TiTok-L-2'"):
        make_figure("training_curves", reporting, tmp_path / "x", Sources())
    without = reporting.model_copy(update={"tables": reporting.tables.model_copy(update={"table4": None})})
    with pytest.raises(MissingScore, match="no figure 'figure4'; it has: samples"):
        make_figure("figure4", without, tmp_path / "x", Sources(tree.scores))
    assert not list(tmp_path.glob("x*"))


def test_mixed_protocols_stop_the_figure(tree, reporting, tmp_path):
    subject = {"tokenizer": "s1", "stage": "stage1", "seed": 0}
    tree.score("reconstruction/s1/stage1/seed0", "reconstruction", subject, {"rfid": 1.0}, {"num_images": 1})
    with pytest.raises(ScoreError, match="num_images"):
        make_figure("figure4", reporting, tmp_path / "x", Sources(tree.scores))


def test_a_curve_reads_only_its_own_runs(tree):
    other = CurveRun(label="VQGAN", tokenizer="vqgan")
    drawing = training_curves([other], tree.logs)
    assert drawing.data["label"].unique().tolist() == ["VQGAN"]
    assert (drawing.data["min"] == drawing.data["max"]).all(), "one seed"
    both = training_curves([CurveRun(label="S", tokenizer="s2")], tree.logs).data
    assert np.allclose(both["max"] - both["min"], 0.1), "two seeds"


def test_runs_of_two_tasks_may_share_a_label(tree):
    runs = [CurveRun(label="same", tokenizer="s2"), CurveRun(label="same", tokenizer="vqgan")]
    data = training_curves(runs, tree.logs).data
    stage1, vqgan = (data[data["task"] == task]["mean"].to_numpy() for task in ("stage 1", "proxy VQGAN"))
    assert len(stage1) != len(vqgan) or not np.allclose(stage1, vqgan)


def test_the_papers_points_stand_behind_ours_in_grey(tree, reporting, paper_file):
    grid, scores = reporting.tables.table4, read_scores(tree.scores)
    with figure_style():
        drawing = figure4(grid, grid_frame(grid, scores), scores, read_paper(paper_file))
    theirs = drawing.data[drawing.data["source"] == "paper"]
    s16 = theirs[(theirs["metric"] == "rfid") & (theirs["size"] == "s") & (theirs["k"] == 16)]
    assert list(s16["mean"]) == [25.3]
    assert set(theirs[theirs["metric"] == "sampling_images_per_second"]["mean"]) == {123.1, 27.5}
    lines = drawing.figure.axes[0].get_lines()
    assert [line.get_color() for line in lines[:3]] == [PAPER_GREY] * 3
    assert [line.get_marker() for line in lines[:3]] == [line.get_marker() for line in lines[3:]]


def test_a_single_seed_is_shaded_by_its_interval(tree, reporting):
    for path in tree.scores:
        if path.name == "seed1.json":
            path.unlink()
    record = json.loads((tree.root / "scores/reconstruction/s8/stage1/seed0.json").read_text())
    record["metrics"]["rfid"]["interval"] = {"low": 1.0, "high": 9.0, "coverage": 0.95}
    (tree.root / "scores/reconstruction/s8/stage1/seed0.json").write_text(json.dumps(record))
    frame = grid_frame(reporting.tables.table4, read_scores(tree.scores))
    s8 = curve(frame, "rfid", "s").set_index("k").loc[8]
    assert (s8["low"], s8["high"]) == (1.0, 9.0)
    s4 = curve(frame, "rfid", "s").set_index("k").loc[4]
    assert s4["low"] == s4["high"] == s4["mean"]


def test_healthy_ends_are_shown_where_manifests_know_them(tree, reporting):
    band = {"metric": "proxy_code_loss", "low": 0.0, "high": 2.5, "step": 800, "healthy": True}
    for path in tree.manifests:
        manifest = json.loads(path.read_text())
        if manifest["task"] == "stage1":
            path.write_text(json.dumps({**manifest, "health": [band]}))
    with figure_style():
        drawing = training_curves(reporting.figures.training_curves, tree.logs)
    healthy = drawing.data[drawing.data["label"] == "healthy proxy_code_loss"]
    assert healthy[["task", "step", "min", "max"]].to_numpy().tolist() == [["stage 1", 800, 0.0, 2.5]]


def test_figure_4b_shows_width_beside_bottleneck_where_both_were_read(tree, reporting, paper_file, tmp_path) -> None:
    width = "linear_probe_top1_width_mean"
    make_figure("figure4", reporting, tmp_path / "without", Sources(tree.scores, paper_file=paper_file))
    assert width not in (tmp_path / "without.csv").read_text()
    assert "encoder's width" not in (tmp_path / "without.svg").read_text()
    for path in tree.scores:
        record = json.loads(path.read_text())
        if record["kind"] == "linear_probe":
            first = record["metrics"]["linear_probe_top1"]
            label = {"label": "linear probe top-1 (width, mean)"}
            record["metrics"][width] = first | label | {"value": first["value"] + 0.01}
            path.write_text(json.dumps(record))
    make_figure("figure4", reporting, tmp_path / "with", Sources(tree.scores, paper_file=paper_file))
    shown = pd.read_csv(tmp_path / "with.csv").set_index(["metric", "size", "k"])["mean"]
    bottleneck, of_width = shown["linear_probe_top1"], shown[width]
    assert len(of_width) == len(bottleneck) > 0
    assert (of_width - bottleneck).to_numpy() == pytest.approx(0.01)
    assert "encoder's width" in (tmp_path / "with.svg").read_text()


def test_labels_of_near_token_counts_make_room():
    """192 beside 256 used to be read as 192256."""
    paper = (16, 32, 64, 96, 128, 192, 256)
    assert [k for k in paper if _has_room(k, paper)] == [16, 32, 64, 128, 256]
    assert all(_has_room(k, (1, 3, 9)) for k in (1, 3, 9))
