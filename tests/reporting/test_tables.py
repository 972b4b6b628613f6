"""Tables: cells hold the scores' means and spreads, the paper's numbers stand apart, protocols are not mixed.

Run: pytest tests/reporting/test_tables.py
"""

from __future__ import annotations

import io
import json
import re

import pandas as pd
import pytest

from titok.config.reporting import Tables
from titok.config.rows import Row
from titok.config.rows import Table as TableRows
from titok.errors import ScoreError
from titok.reporting.cells import PAPER_NOTE, Block, Table, number, our_cell
from titok.reporting.collect import MissingScore, Scores, Statistic, read_scores
from titok.reporting.paper import Paper, read_paper
from titok.reporting.tables import build_table, make_table
from titok.reporting.writers import csv

ERROR = {"low": -0.1, "high": 3.6, "coverage": 0.95}
ACCURACY = "read as their label (%) ↑"


@pytest.fixture
def scores(tree) -> Scores:
    return read_scores(tree.scores)


@pytest.fixture
def paper(paper_file) -> Paper:
    return read_paper(paper_file)


def part(table: Table, head: str) -> Block:
    """The part of a table that has a column of this head."""
    return next(block for block in table.blocks if head in block.columns)


def cell(table: Table, row: str, head: str, block: int | None = None) -> str:
    """Text at a row's label and a column's head; ``block``: where several parts have such a column."""
    found = part(table, head) if block is None else table.blocks[block]
    texts = {line[0].text: [item.text for item in line] for line in found.rows}
    return texts[row][list(found.columns).index(head)]


def test_table1_cells(reporting, scores, paper):
    table = build_table("table1", reporting.tables, scores, paper)
    # rfid(l, 2) = 0.5 * (24 / 2**0.8 - 3 -+ 0.2): mean 5.39, sample deviation 0.14
    assert cell(table, "TiTok-L-2", "digits-rFID ↓") == "5.39 ± 0.14"
    assert cell(table, "TiTok-L-2", "paper (ImageNet) rFID ↓") == "2.21"
    assert cell(table, "TiTok-L-2", "digits-gFID ↓") == "4.00"
    assert cell(table, "TiTok-L-2", "tokens K (paper)") == "2 (32)"
    assert cell(table, "TiTok-S-8", "steps (paper)") == "8 (64)"
    assert cell(table, "TiTok-L-2", "generator parameters (paper)") == "150 k (177 M)"
    assert cell(table, "TiTok-L-2", "tokenizer parameters") == "120 k"
    assert cell(table, "TiTok-S-8", "sampling speed (images/s) ↑") == "250.0"
    assert cell(table, "TiTok-S-8", "paper (ImageNet) images/s on an A100 ↑") == "7.8"


def test_intervals_stand_beside_single_records_only(reporting, tree, paper):
    interval = {"low": 2.1, "high": 2.5, "coverage": 0.95}
    for where in ("vqgan.json", "l2/stage2/seed0.json"):
        path = tree.root / "scores/reconstruction" / where
        record = json.loads(path.read_text())
        record["metrics"]["rfid"]["interval"] = interval
        record["metrics"]["classifier_accuracy"]["interval"] = {"low": 0.5, "high": 0.625, "coverage": 0.95}
        path.write_text(json.dumps(record))
    table = build_table("table1", reporting.tables, read_scores(tree.scores), paper)
    assert cell(table, "MaskGIT-VQGAN", "digits-rFID ↓").endswith(" [2.10, 2.50]")
    assert cell(table, "TiTok-L-2", "digits-rFID ↓") == "5.39 ± 0.14", "seeds say more than images"
    assert "In brackets: the interval of 95% of bootstrap draws over images." in table.notes
    vqgan = table.data[table.data["label"] == "MaskGIT-VQGAN"].iloc[0]
    assert (vqgan["rfid_low"], vqgan["rfid_high"]) == (2.1, 2.5)
    accuracy = cell(build_table("table3c", reporting.tables, read_scores(tree.scores), paper), "2D VQGAN", ACCURACY)
    assert accuracy.endswith(" [50.0, 62.5]")


def test_the_distance_at_infinite_n_has_a_column_where_it_is_known(reporting, tree, paper, scores):
    blocks = build_table("table1", reporting.tables, scores, paper).blocks
    assert not any("infinite" in head for block in blocks for head in block.columns)
    path = tree.root / "scores/reconstruction/vqgan.json"
    record = json.loads(path.read_text())
    label = {"label": "digits-rFID at infinite N", "better": "lower", "unit": ""}
    record["metrics"]["rfid_infinity"] = {"value": 1.75, "interval": ERROR, **label}
    path.write_text(json.dumps(record))
    table = build_table("table1", reporting.tables, read_scores(tree.scores), paper)
    assert cell(table, "MaskGIT-VQGAN", "digits-rFID at infinite N ↓") == "1.75 [below 0, 3.60]"


@pytest.mark.parametrize(
    ("error", "value", "shown"),
    [
        (True, 1.75, "1.75 [below 0, 3.60]"),
        (True, -0.02, "below 0 [below 0, 3.60]"),
        (False, 1.75, ""),
        (False, -0.02, ""),
    ],
)
def test_distances_at_infinite_n_are_shown_with_their_error(reporting, tree, paper, error, value, shown):
    """Records of earlier versions have none, and some of them lines that are too short."""
    path = tree.root / "scores/reconstruction/vqgan.json"
    record = json.loads(path.read_text())
    label = {"label": "digits-rFID at infinite N", "better": "lower", "unit": ""}
    record["metrics"]["rfid_infinity"] = {"value": value, **({"interval": ERROR} if error else {}), **label}
    path.write_text(json.dumps(record))
    only = reporting.tables.table1.model_copy(update={"rows": reporting.tables.table1.rows[3:]})
    tables = reporting.tables.model_copy(update={"table1": only})
    table = build_table("table1", tables, read_scores(tree.scores), paper)
    heads = [head for block in table.blocks for head in block.columns]
    assert any("infinite" in head for head in heads) == bool(shown)
    if shown:
        assert cell(table, "MaskGIT-VQGAN", "digits-rFID at infinite N ↓") == shown


def test_whole_systems_are_shown_in_parts(reporting, scores, paper):
    table = build_table("table1", reporting.tables, scores, paper)
    assert [block.title for block in table.blocks] == ["Reconstruction", "Generation", "Samples", "Speed"]
    rows = [[row[0].text for row in block.rows] for block in table.blocks]
    assert "DiT-XL/2" not in rows[0]
    assert "DiT-XL/2" in rows[1], "its gFID is cited"
    assert len(table.data) == len(reporting.tables.table1.rows), "the data has every row, once"
    assert [block.title for block in build_table("table3a", reporting.tables, scores, paper).blocks] == [""]


def test_unsure_paper_numbers_are_marked(reporting, scores, paper):
    table = build_table("table1", reporting.tables, scores, paper)
    generation = part(table, "paper (ImageNet) IS ↑")
    found = next(row for row in generation.rows if row[0].text == "TiTok-B-4")
    unsure = found[list(generation.columns).index("paper (ImageNet) IS ↑")]
    assert (unsure.text, unsure.style) == ("214.7 ?", "unsure")


def test_rows_of_the_paper_alone_have_no_numbers_of_ours(reporting, scores, paper):
    table = build_table("table1", reporting.tables, scores, paper)
    assert cell(table, "DiT-XL/2", "digits-gFID ↓") == ""
    assert cell(table, "DiT-XL/2", "paper (ImageNet) gFID ↓") == "2.27"


def test_numbers_on_two_datasets_are_not_subtracted(reporting, scores, paper):
    for name in reporting.tables.names:
        table = build_table(name, reporting.tables, scores, paper)
        assert table.paper_note == PAPER_NOTE
        for block in table.blocks:
            assert not any("difference" in head.lower() or "Δ" in head for head in block.columns)


def as_the_paper(reporting, **changes) -> Tables:
    """The tables of a study whose numbers are of the paper's kind."""
    return reporting.tables.model_copy(update={"comparison": "values", **changes})


def test_numbers_by_another_protocol_are_not_judged(reporting, scores, paper):
    """Those of a study's own classifier beside ImageNet's: no difference, no judgement, and the keys below."""
    table = build_table("table1", as_the_paper(reporting), scores, paper)
    head = list(table.blocks[0].columns)
    ours = head.index("digits-rFID ↓")
    assert head[ours : ours + 4] == ["digits-rFID ↓", "paper rFID ↓", "difference", "verdict"]
    rows = {row[0].text: [item.text for item in row][ours : ours + 4] for row in table.blocks[0].rows}
    assert rows["MaskGIT-VQGAN"] == ["1.50", "2.28", "", "not comparable"]
    assert "DiT-XL/2" not in rows, (
        "the paper cites no rFID of it, so that the part on reconstruction has nothing to say"
    )
    assert table.data["rfid_difference"].isna().all() if "rfid_difference" in table.data else True
    [why] = [note for note in table.notes if "MaskGIT-VQGAN's digits-rFID" in note]
    assert "extractor.kind is classifier here, inception in the paper" in why
    assert "num_images is 500 here, 50000 in the paper" in why


def test_unsure_numbers_judge_nothing(reporting, scores, paper):
    table = build_table("table1", as_the_paper(reporting), scores, paper)
    unsure = table.data[table.data["paper_inception_score_confidence"] == "low"]
    assert len(unsure)
    assert unsure["inception_score_adm_verdict"].isna().all()
    assert table.data["inception_score_adm_verdict"].notna().any()


def test_the_grid_is_compared_place_by_place(reporting, scores, paper):
    grid = reporting.tables.table4.model_copy(update={"tokens": (1, 2, 4, 8)})
    table = build_table("table4a", as_the_paper(reporting, table4=grid), scores, paper)
    compared = next(block for block in table.blocks if "minus" in block.title)
    assert all(not part.text for row in compared.rows for part in row[1:]), "the paper has other K"
    assert table.name == "table4a"
    assert not any(block.title.startswith("4b") for block in table.blocks)


@pytest.mark.parametrize("panel", ["a", "b", "c", "d"])
def test_a_panel_needs_the_scores_of_its_own_kind_only(reporting, tree, paper, panel):
    folders = {"a": "reconstruction", "b": "probe", "c": "generation", "d": "generation"}
    own = [path for path in tree.scores if path.relative_to(tree.root).parts[1] == folders[panel]]
    table = build_table(f"table4{panel}", reporting.tables, read_scores(own), paper)
    assert {block.title[:2] for block in table.blocks} == {f"4{panel}"}
    assert bool(table.paper_note) == (panel in "ad")


def test_ladder_compares_the_order_with_the_papers(reporting, scores, paper):
    table = build_table("table3a", reporting.tables, scores, paper)
    said = "Order of the rows by digits-rFID: 0 of 1 pairs as in the paper, 1 undecided."
    assert table.notes == [said, "Seeds: 2."], "two seeds decide no order"


def test_rows_in_the_papers_order(reporting, seeded, paper):
    table = build_table("table3a", reporting.tables, read_scores(seeded.scores), paper)
    assert table.notes == ["Order of the rows by digits-rFID: 1 of 1 pairs as in the paper.", "Seeds: 5."]


def test_paradigms_show_the_vqgan(reporting, scores, paper):
    table = build_table("table3c", reporting.tables, scores, paper)
    assert cell(table, "2D VQGAN", "digits-rFID ↓") == "1.50"
    assert cell(table, "2D VQGAN", "tokens K") == "16"


def test_guidance(reporting, scores, paper):
    table = build_table("table5", reporting.tables, scores, paper)
    assert cell(table, "without", "guidance") == "0.0"
    assert cell(table, "without", "digits-gFID ↓") == "7.20"
    assert cell(table, "with", "digits-gFID ↓") == "4.00"


def test_data_is_unrounded(reporting, scores, paper):
    data = pd.read_csv(io.StringIO(csv(build_table("table1", reporting.tables, scores, paper)))).set_index("label")
    records = scores.select("reconstruction", tokenizer="l2", stage="stage2")["rfid"]
    assert data.loc["TiTok-L-2", "rfid_mean"] == pytest.approx(records.mean(), rel=1e-12)
    assert data.loc["TiTok-L-2", "rfid_std"] == pytest.approx(records.std(), rel=1e-12)
    assert data.loc["TiTok-L-2", "rfid_n"] == 2
    assert data.loc["TiTok-L-2", "paper_rfid"] == 2.21
    assert data.loc["TiTok-B-4", "paper_inception_score_confidence"] == "low"


def test_grid_table_has_a_block_per_panel_and_one_long_frame(reporting, scores, paper):
    table = build_table("table4", reporting.tables, scores, paper)
    assert [re.match(r"4[a-d]", block.title)[0] for block in table.blocks] == ["4a", "4b", "4c", "4d", "4a", "4d"]
    assert cell(table, "TiTok-S", "K = 1") == "24.00 ± 0.28"
    assert cell(table, "TiTok-L", "K = 8", block=1) == "73.1 ± 0.1"
    assert [row[0].text for row in table.blocks[2].rows] == ["TiTok-L"]
    assert cell(table, "TiTok-S", "K = 16", block=4) == "25.30 †"
    assert cell(table, "sampling (images/s, one A100)", "K = 256", block=5) == "27.5 †"
    counts = table.data["metric"].value_counts().to_dict()
    assert counts == {"rfid": 12, "linear_probe_top1": 12, "gfid": 4, "sampling_images_per_second": 4}
    assert "TiTok-S -1.00" in table.notes[0]
    assert table.notes[1] == (
        "Mean rFID at the smallest K: TiTok-S 24.00, TiTok-B 21.00, TiTok-L 18.00; in the paper: TiTok-S 25.30, "
        "TiTok-B 16.80, TiTok-L 13.00."
    )
    assert "Seeds: 2 (TiTok-S, TiTok-B); 1 or 2 (TiTok-L)." in table.notes


def test_files_are_written(reporting, tree, paper_file, tmp_path):
    paths = make_table("table3a", reporting.tables, tree.scores, paper_file, tmp_path / "t" / "table3a")
    assert [path.name for path in paths] == ["table3a.csv", "table3a.md", "table3a.tex"]
    assert all(path.stat().st_size for path in paths)


def test_mixed_protocols_stop_the_table(reporting, tree, paper):
    other = {"num_images": 100}
    subject = {"tokenizer": "b4", "stage": "stage2", "seed": 0}
    tree.score("reconstruction/b4/stage2/seed0", "reconstruction", subject, {"rfid": 1.0}, other)
    with pytest.raises(ScoreError, match=r"column 'digits-rFID ↓'.*num_images"):
        build_table("table1", reporting.tables, read_scores(tree.scores), paper)


def test_missing_scores_and_tables_are_named(reporting, tree, paper):
    without = [path for path in tree.scores if "s8/stage2" not in path.as_posix()]
    with pytest.raises(MissingScore, match=r"scores/reconstruction/s8/stage2/seed\*\.json"):
        build_table("table1", reporting.tables, read_scores(without), paper)
    with pytest.raises(MissingScore, match="no table 'table3b'; it has: table1, table3a"):
        build_table("table3b", reporting.tables, read_scores(without), paper)


def test_unknown_paper_rows_are_named(scores, paper):
    tables = Tables(table3c=TableRows(rows=(Row(label="x", tokenizer="l2", paper="table3c/nothing"),)))
    with pytest.raises(ScoreError, match="table3c/nothing"):
        build_table("table3c", tables, scores, paper)


@pytest.mark.parametrize(("value", "shown"), [(74.0, "74"), (35.744, "35.7"), (3075.0, "3 075"), (1234.56, "1 234.6")])
def test_bits_are_whole_numbers_and_their_means_have_one_decimal(value: float, shown: str) -> None:
    assert number("bits_per_image", value).replace("\u202f", " ").replace("\xa0", " ") == shown


@pytest.mark.parametrize(
    ("operations", "shown"), [(0.000212, "0.00021"), (0.5, "0.500"), (0.0, "0.000"), (210.04, "210.0")]
)
def test_operations_of_toys_are_no_zero(operations: float, shown: str) -> None:
    assert number("encode_gflop", operations) == shown


def test_the_last_bit_of_a_mean_is_no_scatter() -> None:
    """Operations of one image are the same in every seed; the mean of three such numbers need not be."""
    counted = Statistic(3, 0.11663974400000001, 1.7e-17, 0.116639744, 0.116639744)
    assert our_cell("sampling_gflop", counted).text == "0.117"
    assert our_cell("rfid", Statistic(3, 2.0, 1e-3, 1.999, 2.001)).text == "2.00 ± 0.00"


def test_samples_of_another_programs_decoder_have_a_row_without_a_speed(reporting, tree, paper):
    seen = {"seed": 0, "tokenizer": "theirs", "stage": "external", "recipe": "external", "num_latent_tokens": 4}
    drawn = {**seen, "generator": "theirs-vit", "sampler": "eight", "num_steps": 8}
    tree.score("reconstruction/theirs/external/seed0", "reconstruction", seen, {"rfid": 3.25})
    sampled = {"gfid": 5.5, "generator_parameters": 150_000}
    tree.score("generation/theirs-vit/eight/seed0", "generation", drawn, sampled)
    row = Row(label="Theirs", tokenizer="theirs", stage="external", generator="theirs-vit", sampler="eight")
    rows = TableRows(rows=(*reporting.tables.rows("table1"), row))
    table = build_table("table1", reporting.tables.model_copy(update={"table1": rows}), read_scores(tree.scores), paper)
    heads = ("digits-rFID ↓", "digits-gFID ↓", "tokens K (paper)", "steps (paper)", "sampling speed (images/s) ↑")
    assert [cell(table, "Theirs", head) for head in heads] == ["3.25", "5.50", "4", "8", ""]
