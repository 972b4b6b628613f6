"""Table and figures of adaptive length: numbers, words and what is refused.

Run: pytest tests/reporting/test_lengths.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from reporting.conftest import PAPER

from titok.config.figure_settings import ImagesByLength, TokenAttention
from titok.config.figures import Figures
from titok.config.reporting import Reporting, Tables
from titok.config.rows import LengthTable, Row
from titok.errors import ScoreError
from titok.reporting.collect import MissingScore
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import make_figure
from titok.reporting.figures.images_by_length import images_by_length
from titok.reporting.figures.token_attention import token_attention
from titok.reporting.style import save
from titok.reporting.tables import make_table
from titok.runtime.files import read_json

ROWS = (
    Row(label="ALIT", tokenizer="alit", stage="alit_stage1"),
    Row(label="TiTok", tokenizer="s2", stage="stage1"),
    Row(label="TiTok", tokenizer="s4", stage="stage1"),
)
WANTED = Tables(adaptive_length=LengthTable(rows=ROWS))


def write(tree, seeds=(0, 1, 2), gain=0.02, protocol=None) -> None:
    """An ALIT of 2 and 4 tokens that needs 2.5 of them, and two TiToks."""
    more = {} if protocol is None else {"protocol": protocol}
    for seed in seeds:
        same = {f"l1@{k}": 0.2 / k + 0.001 * seed for k in (2, 4)} | {f"rfid@{k}": 10.0 / k for k in (2, 4)}
        chosen = {"mean_length": 2.5, "share_of_2": 0.75, "share_of_4": 0.25, "met": 0.8, "l1": 0.07, "rfid": 4.0}
        gains = {"gain": gain + 0.001 * seed, "met_gain": 0.1, "rank_with_jpeg_size": 0.5}
        metrics = same | {f"{name}@l1<0.08": value for name, value in (chosen | gains).items()}
        subject = {"tokenizer": "alit", "stage": "alit_stage1", "seed": seed}
        tree.score(f"lengths/alit/alit_stage1/seed{seed}", "lengths", subject, metrics, **more)
        for k in (2, 4):
            subject = {"tokenizer": f"s{k}", "stage": "stage1", "seed": seed}
            tree.score(f"lengths/s{k}/stage1/seed{seed}", "lengths", subject, {f"l1@{k}": 0.3 / k, f"rfid@{k}": 9.0})


def table(tree, tmp_path: Path, wanted: Tables = WANTED) -> tuple[pd.DataFrame, str]:
    csv, markdown, _ = make_table("adaptive_length", wanted, tree.scores, PAPER, tmp_path / "adaptive_length")
    return pd.read_csv(csv), markdown.read_text()


def test_the_table_has_lengths_choices_histograms_and_gains(tree, tmp_path: Path) -> None:
    write(tree)
    data, text = table(tree, tmp_path)
    line = data[(data["label"] == "ALIT") & (data["at"] == "l1<0.08") & (data["metric"] == "gain")].iloc[0]
    assert line["mean"] == pytest.approx(0.021)
    assert (line["n"], line["verdict"]) == (3, "better")
    assert line["low"] > 0
    errors = data[data["metric"] == "l1"].set_index(["tokenizer", "at"])["mean"]
    assert errors["alit", "4"] == pytest.approx(0.051)
    assert errors["s4", "4"] == pytest.approx(0.075)
    for title in ("All images have K tokens", "Each image has the fewest tokens", "Images of K tokens, %", "What that"):
        assert title in text
    assert "75.0" in text
    assert "better" in text


@pytest.mark.parametrize(
    ("changes", "low", "high", "word"),
    [
        ((-0.03, -0.04, -0.05), -0.0648, -0.0152, "falls"),
        ((-0.01, -0.04, -0.07), -0.1145, 0.0345, "undecided"),
        ((0.03, 0.04, 0.05), 0.0152, 0.0648, "rises"),
    ],
)
def test_what_a_longer_code_changes_is_judged_seed_by_seed(
    tree, tmp_path: Path, changes: tuple[float, ...], low: float, high: float, word: str
) -> None:
    """By hand: mean of three, Student's 4.3027 for two degrees of freedom, deviation 0.01 or 0.03 over root 3."""
    write(tree)
    for seed, change in enumerate(changes):
        level = 0.1 * (seed + 1)  # seeds differ by more than lengths do
        metrics = {"l1@2": level, "l1@4": level + change, "rfid@2": 5.0, "rfid@4": 2.5}
        metrics |= {f"{name}@l1<0.08": value for name, value in {"mean_length": 2.5, "rfid": 4.0}.items()}
        subject = {"tokenizer": "alit", "stage": "alit_stage1", "seed": seed}
        tree.score(f"lengths/alit/alit_stage1/seed{seed}", "lengths", subject, metrics)
    data, text = table(tree, tmp_path)
    [line] = data[data["metric"] == "l1_change"].to_dict("records")
    assert (line["label"], line["at"], line["n"], line["verdict"]) == ("ALIT", "2 to 4", 3, word)
    assert (line["low"], line["high"]) == pytest.approx((low, high), abs=1e-4)
    assert "What a longer code changes" in text


def test_probes_stand_beside_what_was_probed(tree, tmp_path: Path) -> None:
    """Of ALIT those of its own stage alone, whose encoder is no other's; of one length, by its number of tokens."""
    write(tree)
    for seed in (0, 1, 2):
        for name, stage, metrics in (
            ("alit", "alit_stage1", {f"linear_probe_top1@{k}": 0.41 + k / 10 for k in (2, 4)}),
            ("s2", "encoder", {}),
            ("s4", "alit_stage2", {}),
        ):
            subject = {"tokenizer": name, "stage": stage, "seed": seed, "num_latent_tokens": 2}
            tree.score(f"probe/{name}/seed{seed}", "linear_probe", subject, {"linear_probe_top1": 0.9, **metrics})
    wanted = Tables(adaptive_length=LengthTable(rows=ROWS, linear_probe=True))
    data, text = table(tree, tmp_path, wanted)
    probes = data[data["metric"] == "linear_probe_top1"].set_index(["tokenizer", "at"])
    assert probes["mean"].to_dict() == pytest.approx({("alit", "2"): 0.61, ("alit", "4"): 0.81, ("s2", "2"): 0.9})
    assert set(probes["n"]) == {3}
    assert "81.0" in text, "in percent"
    reporting = Reporting(tables=wanted, figures=Figures(quality_against_tokens=True), figure_dpi=60)
    _, _, csv = make_figure("quality_against_tokens", reporting, tmp_path / "figure", Sources(tree.scores))
    assert "linear_probe_top1" in set(pd.read_csv(csv)["metric"])
    assert "81.0" not in table(tree, tmp_path)[1], "not where nobody asked"


@pytest.mark.parametrize(("gain", "word"), [(-0.02, "worse"), (-0.001, "undecided")])
def test_a_choice_that_does_not_pay_is_said_to_be_so(tree, tmp_path: Path, gain: float, word: str) -> None:
    write(tree, gain=gain)
    data, text = table(tree, tmp_path)
    assert list(data.loc[data["metric"] == "gain", "verdict"]) == [word]
    assert word in text


def test_one_seed_is_judged_over_its_images(tree, tmp_path: Path) -> None:
    write(tree, seeds=(0,))
    data, _ = table(tree, tmp_path)
    gain = data[data["metric"] == "gain"].iloc[0]
    assert gain["verdict"] == "undecided", "the record has no interval"


def test_two_protocols_are_not_mixed(tree, tmp_path: Path) -> None:
    write(tree, protocol={"rounding": "truncate", "extractor": {"kind": "classifier"}})
    with pytest.raises(ScoreError, match="would mix two protocols"):
        table(tree, tmp_path)


def test_a_missing_score_is_named(tree, tmp_path: Path) -> None:
    with pytest.raises(MissingScore, match=r"scores/lengths/alit/alit_stage1/seed\*.json: no such score"):
        table(tree, tmp_path)


def test_the_figure_has_a_line_per_label_and_points_of_choices(tree, tmp_path: Path) -> None:
    write(tree)
    reporting = Reporting(tables=WANTED, figures=Figures(quality_against_tokens=True), figure_dpi=60)
    svg, _, csv = make_figure("quality_against_tokens", reporting, tmp_path / "figure", Sources(tree.scores))
    data = pd.read_csv(csv)
    own = data[(data["label"] == "ALIT") & (data["metric"] == "l1")]
    assert own["tokens"].tolist() == [2, 4, 2.5]
    assert own["low"].tolist()[0] == pytest.approx(0.1)
    assert own["high"].tolist()[0] == pytest.approx(0.102)
    fixed = data[(data["label"] == "TiTok") & (data["metric"] == "l1")]
    assert fixed["tokens"].tolist() == [2, 4]
    assert "each image its own" in svg.read_text()


def pictures(path: Path, **changes) -> Path:
    arrays = {
        "images": np.zeros((3, 6, 8, 8, 3), np.uint8),
        "row_labels": np.array(["original", "2", "4"]),
        "tokens": np.array([2, 2, 2, 4, 4, 4]),
    }
    np.savez(path, **{name: array for name, array in (arrays | changes).items() if array is not None})
    return path


def test_images_at_every_length_the_fewest_first(tmp_path: Path) -> None:
    wanted = ImagesByLength(row=ROWS[0], num_images=4)
    svg, _, csv = save(images_by_length(wanted, pictures(tmp_path / "some.npz")), tmp_path / "images", 160)
    data = pd.read_csv(csv)
    assert data["label"].unique().tolist() == ["original", "K = 2", "K = 4"]
    assert data.loc[data["row"] == 0, "tokens"].tolist() == [2, 2, 4, 4]
    assert "2, 2, 4, 4" in svg.read_text()


def test_other_pictures_are_refused(tmp_path: Path) -> None:
    wanted = ImagesByLength(row=ROWS[0])
    with pytest.raises(ScoreError, match="has no tokens"):
        images_by_length(wanted, pictures(tmp_path / "a.npz", tokens=None))
    with pytest.raises(ScoreError, match="tokens of each image"):
        images_by_length(wanted, pictures(tmp_path / "b.npz", tokens=np.array([2])))


def test_images_of_another_kind_have_blocks_of_their_own(tree, tmp_path: Path) -> None:
    write(tree)
    for path in (tree.root / "scores/lengths/alit").rglob("*.json"):
        score = read_json(path)
        seed = score["subject"]["seed"]
        about = {"second": {"label": "digits on their side", "altered": "quarter_turn"}}
        values = {"second_l1@2": 0.2, "second_l1@4": 0.15, "second_rfid@4": 9.0, "second_needed_length@l1<0.08": 3.5}
        metrics = {name: entry["value"] for name, entry in score["metrics"].items()} | values
        metrics["familiarity_gap@l1<0.08"] = 1.0 + 0.01 * seed
        where = f"lengths/alit/alit_stage1/seed{seed}"
        tree.score(where, "lengths", score["subject"], metrics, protocol={**score["protocol"], **about})
    for path in (tree.root / "scores/lengths").rglob("s?/*/*.json"):
        path.unlink()
    only = Tables(adaptive_length=LengthTable(rows=ROWS[:1]))
    data, text = table(tree, tmp_path, only)
    assert "Second images (digits on their side): all have K tokens" in text
    gap = data[data["metric"] == "familiarity_gap"].iloc[0]
    assert (gap["verdict"], gap["mean"]) == ("more", pytest.approx(1.01))
    assert "0.1500" in text
    assert "9.00" in text


def attention(path: Path, **changes) -> Path:
    """Six images of two lengths; tokens of the short code look at the upper left, of the long at the lower right."""
    maps = np.full((2, 6, 4, 2, 2), 0.1, np.float32)
    maps[0, :, :, 0, 0], maps[1, :, :, 1, 1] = 0.5, 0.5
    maps[0, :, 2:] = np.nan
    more = {"attention_encoder": maps, "attention_lengths": np.array([2, 4]), "attention_tokens": np.arange(4)}
    return pictures(path, **{**more, **changes})


def test_attention_is_brightest_where_it_is_highest_and_white_where_there_is_none(tmp_path: Path) -> None:
    wanted = TokenAttention(row=ROWS[0], num_images=3)
    drawing = token_attention(wanted, attention(tmp_path / "some.npz"))
    svg, _, csv = save(drawing, tmp_path / "attention", 160)
    data = pd.read_csv(csv)
    labels = [f"image {image}, K = {k}" for image in (1, 6, 2) for k in (2, 4)]
    assert list(dict.fromkeys(data["label"])) == labels, "from both ends"
    assert len(data) == 3 * (2 + 4), "no line for a token that a code has not"
    assert data["share"].tolist() == pytest.approx([0.8] * len(data))
    assert "then tokens 1, 2, 3, 4" in svg.read_text()
    canvas = np.asarray(drawing.figure.axes[0].images[0].get_array())
    pitch = canvas.shape[0] // 6
    tiles = canvas.reshape(6, pitch, 5, pitch, 3).mean(axis=-1)[:, :-2, :, :-2]
    assert (tiles[0, :, 3:] == 255).all()
    half = (pitch - 2) // 2
    short, long = tiles[0, :, 1], tiles[1, :, 1]
    assert short[:half, :half].mean() > short[half:, half:].mean()
    assert long[:half, :half].mean() < long[half:, half:].mean()


def test_pictures_without_attention_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match="has no attention_decoder: this tokenizer has no latent tokens, or"):
        token_attention(TokenAttention(row=ROWS[0], of="decoder"), attention(tmp_path / "a.npz"))
