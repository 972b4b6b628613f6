"""Every table of the page, with all columns that a study can have, fits a window of 1100 pixels without scrolling.

Run: pytest tests/reporting/test_width.py
"""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import pytest
from PIL import ImageFont

from titok.reporting.cells import Block, Cell, Table
from titok.reporting.collect import read_scores
from titok.reporting.paper import read_paper
from titok.reporting.tables import build_table
from titok.reporting.writers import html_table

WINDOW = 1100
SCROLL_BAR = 15
REM = 16
CSS = (files("titok.reporting") / "report.css").read_text(encoding="utf-8")
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
"""DejaVu Sans is wider than the system fonts of phones and desktops."""


def rems(pattern: str) -> float:
    """A length of the style sheet, in pixels; the last one stands, that of smaller windows."""
    return float(re.findall(pattern, CSS)[-1]) * REM


FONT_SIZE = rems(r"table \{ font-size: ([\d.]+)rem")
CELL_PADDING = 2 * rems(r"th, td \{ padding-left: ([\d.]+)rem; padding-right: \1rem")
ROOM = WINDOW - SCROLL_BAR - 2 * rems(r"padding: 0 ([\d.]+)rem; \}") - 2


def widest_piece(text: str, bold: bool) -> float:
    """Pixels of the longest piece of a text that no line break divides."""
    font = ImageFont.truetype(str(FONTS / f"DejaVuSans{'-Bold' if bold else ''}.ttf"), 100)
    return max(font.getlength(piece) for piece in text.split(" ")) * FONT_SIZE / 100


def narrowest(table: ElementTree.Element) -> float:
    """Pixels below which a browser lets a table scroll."""
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    columns = [
        max(widest_piece(text, bold=index == 0) for index, text in enumerate(column))
        for column in zip(*rows, strict=True)
    ]
    columns[0] = max(columns[0], 7 * REM)
    return sum(width + CELL_PADDING for width in columns)


def widths(table: Table) -> list[float]:
    return [narrowest(found) for found in ElementTree.fromstring(f"<div>{html_table(table)}</div>").iter("table")]


def fill(tree) -> None:
    """Every record gets all that the tables have columns for, with an interval each."""
    everything = {
        "reconstruction": {"rfid": 17.64, "rfid_infinity": 16.31, "psnr": 18.1, "ssim": 0.512, "lpips": 0.212}
        | {"classifier_accuracy": 0.842, "codebook_usage": 0.9912},
        "generation": {"gfid": 12.68, "gfid_infinity": 12.58, "inception_score": 200.7, "class_agreement": 0.842}
        | {"sampling_images_per_second": 1101.6, "sampling_gflop": 181.2},
    }
    for path in tree.scores:
        record = json.loads(path.read_text())
        for name, value in everything.get(record["kind"], {}).items():
            interval = {"low": value * 0.97, "high": value * 1.03, "coverage": 0.95}
            label = {"label": name, "better": "lower", "unit": ""} | record["metrics"].get(name, {})
            record["metrics"][name] = label | {"value": value, "interval": interval}
        path.write_text(json.dumps(record))


@pytest.mark.parametrize("comparison", ["values", "orderings"])
def test_tables_with_every_column_fit(reporting, tree, paper_file, comparison: str) -> None:
    fill(tree)
    tables = reporting.tables.model_copy(update={"comparison": comparison})
    scores, paper = read_scores(tree.scores), read_paper(paper_file)
    for name in tables.names:
        found = widths(build_table(name, tables, scores, paper))
        assert found, name
        assert max(found) <= ROOM, f"{name}: {found}"


def test_a_table_too_wide_is_noticed() -> None:
    cells = [Cell(""), *(Cell("214.7 [208.1, 221.2]") for _ in range(12))]
    table = Table("table9", "wide", [Block("", ["", *["difference"] * 12], [cells])], data=None)  # type: ignore[arg-type]
    assert max(widths(table)) > ROOM
