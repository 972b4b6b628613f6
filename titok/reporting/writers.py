"""A table as CSV, Markdown, LaTeX (booktabs) and HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from titok.reporting.cells import Block, Cell, Table
from titok.runtime.files import write_text

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    "→": r"$\to$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MINUS SIGN}": "$-$",
    "é": r"\'e",
    "†": r"\dag{}",
}


def write_table(table: Table, prefix: str | Path) -> list[Path]:
    """Writes ``{prefix}.csv``, ``.md`` and ``.tex``; returns their paths."""
    texts = {".csv": csv(table), ".md": markdown(table), ".tex": latex(table)}
    paths = []
    for suffix, text in texts.items():
        path = Path(f"{prefix}{suffix}")
        write_text(path, text)
        paths.append(path)
    return paths


def csv(table: Table) -> str:
    """The numbers behind a table, unrounded."""
    return table.data.to_csv(index=False, lineterminator="\n")


def markdown(table: Table) -> str:
    """GitHub-flavoured Markdown with aligned columns; unsure numbers are in italics."""
    parts = [f"### {table.title}"]
    for block in table.blocks:
        if block.title:
            parts.append(f"**{_markdown_escape(block.title)}**")
        parts.append(_markdown_block(block))
    if table.all_notes:
        parts.append("\n".join(f"- {_markdown_escape(note)}" for note in table.all_notes))
    return "\n\n".join(parts) + "\n"


def _markdown_block(block: Block) -> str:
    body = [[_markdown_cell(cell) for cell in row] for row in block.rows]
    head = [_markdown_escape(column) for column in block.columns]
    widths = [max(3, *(len(row[i]) for row in [head, *body])) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [_aligned(head, widths), f"| {' | '.join(rule)} |", *(_aligned(row, widths) for row in body)]
    return "\n".join(lines)


def _aligned(texts: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = texts
    padded = [first.ljust(widths[0]), *(text.rjust(width) for text, width in zip(others, widths[1:], strict=True))]
    return f"| {' | '.join(padded)} |"


def _markdown_cell(cell: Cell) -> str:
    text = _markdown_escape(cell.text)
    return f"*{text}*" if cell.style == "unsure" else text


def _markdown_escape(text: str) -> str:
    return re.sub(r"([|*_<])", r"\\\1", text)


def latex(table: Table) -> str:
    """A float of booktabs tabulars; the preamble needs ``booktabs``, ``xcolor`` and ``graphicx``."""
    lines = [
        r"% needs \usepackage{booktabs,xcolor,graphicx}",
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{latex_escape(table.title)}}}",
        rf"\label{{tab:{table.name}}}",
    ]
    for block in table.blocks:
        lines += _latex_block(block)
    lines += [rf"\par\smallskip{{\footnotesize {latex_escape(note)}}}" for note in table.all_notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_block(block: Block) -> list[str]:
    head = " & ".join(latex_escape(column) for column in block.columns)
    rows = [" & ".join(_latex_cell(cell) for cell in row) + r" \\" for row in block.rows]
    title = [rf"\par\medskip\textbf{{{latex_escape(block.title)}}}\par\smallskip"] if block.title else []
    return [
        *title,
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * (len(block.columns) - 1)}}}",
        r"\toprule",
        head + r" \\",
        r"\midrule",
        *rows,
        r"\bottomrule",
        r"\end{tabular}}",
    ]


def _latex_cell(cell: Cell) -> str:
    text = latex_escape(cell.text)
    return rf"\textcolor{{gray}}{{{text}}}" if cell.style == "unsure" else text


def latex_escape(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_LATEX.get(character, character) for character in text)


def html_table(table: Table) -> str:
    """Each block in a scrolling container, with row and column heads for screen readers.

    The page says once for all tables what the paper's numbers are, so `paper_note` is not repeated here.
    """
    blocks = "\n".join(_html_block(table, block) for block in table.blocks)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    return blocks + (f'\n<ul class="notes">{notes}</ul>' if notes else "")


def _html_block(table: Table, block: Block) -> str:
    head = "".join(f'<th scope="col">{_unbreakable_arrow(html.escape(column))}</th>' for column in block.columns)
    rows = "\n".join(f"<tr>{_html_row(row)}</tr>" for row in block.rows)
    name = html.escape(": ".join(part for part in (table.title, block.title) if part))
    caption = f"<caption>{html.escape(block.title)}</caption>\n" if block.title else ""
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{name}"><table>'
        f"{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody></table></div>"
    )


def _unbreakable_arrow(text: str) -> str:
    return text.replace(" ↓", "\N{NO-BREAK SPACE}↓").replace(" ↑", "\N{NO-BREAK SPACE}↑")


def _html_row(row: Sequence[Cell]) -> str:
    first, *others = row
    cells = "".join(f'<td class="{cell.style}">{_breaking(html.escape(cell.text))}</td>' for cell in others)
    return f'<th scope="row">{html.escape(first.text)}</th>{cells}'


def _breaking(text: str) -> str:
    """Narrow columns break before brackets and between words; a number stays with its spread, sign and unit."""
    return _WITHIN_NUMBERS.sub("\N{NO-BREAK SPACE}", text)


_WITHIN_NUMBERS = re.compile(r" (?![(\[]|[^\W\d]{3})")
"""Spaces before signs, digits and units: `1 234`, `5.4 ± 0.1`, `7.8 †`, `45 M`, `[1.0, 2.0]`."""
