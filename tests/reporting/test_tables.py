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
from titok.reporting.cells import Table
from titok.reporting.collect import MissingScore, ProtocolMismatch, Scores, read_scores
from titok.reporting.paper import Paper, PaperError, read_paper
from titok.reporting.tables import build_table, make_table
from titok.reporting.writers import csv

ACCURACY = "read as their label (%) ↑"


@pytest.fixture
def scores(tree) -> Scores:
    return read_scores(tree.scores)


@pytest.fixture
def paper(paper_file) -> Paper:
    return read_paper(paper_file)


def cell(table: Table, row: str, head: str, block: int = 0) -> str:
    """Text at a row's label and a column's head."""
    found = table.blocks[block]
    texts = {line[0].text: [part.text for part in line] for line in found.rows}
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
    heads = build_table("table1", reporting.tables, scores, paper).blocks[0].columns
    assert not any("infinite" in head for head in heads)
    path = tree.root / "scores/reconstruction/vqgan.json"
    record = json.loads(path.read_text())
    label = {"label": "digits-rFID at infinite N", "better": "lower", "unit": ""}
    record["metrics"]["rfid_infinity"] = {"value": 1.75, **label}
    path.write_text(json.dumps(record))
    table = build_table("table1", reporting.tables, read_scores(tree.scores), paper)
    assert cell(table, "MaskGIT-VQGAN", "digits-rFID at infinite N ↓") == "1.75"


def test_unsure_paper_numbers_are_marked(reporting, scores, paper):
    table = build_table("table1", reporting.tables, scores, paper)
    head = list(table.blocks[0].columns)
    found = next(row for row in table.blocks[0].rows if row[0].text == "TiTok-B-4")
    unsure = found[head.index("paper (ImageNet) IS ↑")]
    assert (unsure.text, unsure.style) == ("214.7 ?", "unsure")


def test_rows_of_the_paper_alone_have_no_numbers_of_ours(reporting, scores, paper):
    table = build_table("table1", reporting.tables, scores, paper)
    assert cell(table, "DiT-XL/2", "digits-rFID ↓") == ""
    assert cell(table, "DiT-XL/2", "paper (ImageNet) gFID ↓") == "2.27"


def test_numbers_on_two_datasets_are_not_subtracted(reporting, scores, paper):
    for name in reporting.tables.names:
        table = build_table(name, reporting.tables, scores, paper)
        assert table.has_paper
        for block in table.blocks:
            assert not any("difference" in head.lower() or "Δ" in head for head in block.columns)


def test_ladder_compares_the_order_with_the_papers(reporting, scores, paper):
    table = build_table("table3a", reporting.tables, scores, paper)
    assert table.notes == ["Order of the rows by digits-rFID: 1 of 1 pairs as in the paper."]


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
    assert cell(table, "TiTok-S", "K = 16", block=4) == "25.30"
    assert cell(table, "sampling (images/s, one A100)", "K = 256", block=5) == "27.5"
    counts = table.data["metric"].value_counts().to_dict()
    assert counts == {"rfid": 12, "linear_probe_top1": 12, "gfid": 4, "sampling_images_per_second": 4}
    assert "TiTok-S -1.00" in table.notes[0]
    assert table.notes[1].startswith("rFID at the smallest K: TiTok-L < TiTok-B < TiTok-S; in the paper: TiTok-L <")


def test_files_are_written(reporting, tree, paper_file, tmp_path):
    paths = make_table("table3a", reporting.tables, tree.scores, paper_file, tmp_path / "t" / "table3a")
    assert [path.name for path in paths] == ["table3a.csv", "table3a.md", "table3a.tex"]
    assert all(path.stat().st_size for path in paths)


def test_mixed_protocols_stop_the_table(reporting, tree, paper):
    other = {"num_images": 100}
    subject = {"tokenizer": "b4", "stage": "stage2", "seed": 0}
    tree.score("reconstruction/b4/stage2/seed0", "reconstruction", subject, {"rfid": 1.0}, other)
    with pytest.raises(ProtocolMismatch, match=r"column 'digits-rFID ↓'.*num_images"):
        build_table("table1", reporting.tables, read_scores(tree.scores), paper)


def test_missing_scores_and_tables_are_named(reporting, tree, paper):
    without = [path for path in tree.scores if "s8/stage2" not in path.as_posix()]
    with pytest.raises(MissingScore, match=r"scores/reconstruction/s8/stage2/seed\*\.json"):
        build_table("table1", reporting.tables, read_scores(without), paper)
    with pytest.raises(MissingScore, match="no table 'table3b'; it has: table1, table3a"):
        build_table("table3b", reporting.tables, read_scores(without), paper)


def test_unknown_paper_rows_are_named(scores, paper):
    tables = Tables(table3c=TableRows(rows=(Row(label="x", tokenizer="l2", paper="table3c/nothing"),)))
    with pytest.raises(PaperError, match="table3c/nothing"):
        build_table("table3c", tables, scores, paper)
