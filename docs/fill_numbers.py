"""Puts measured numbers into the Markdown pages, from the files that hold them; `--check` says where a page is behind.

A page marks a number, or a whole block, by comments that readers do not see:

    <!-- n: measurements/demo.json minutes .0f -->13<!-- /n -->          a key of a JSON file and a format
    <!-- block: claims -->
    ...
    <!-- /block -->                                                      a function of this file

  python docs/fill_numbers.py            rewrites README.md and docs/*.md
  python docs/fill_numbers.py --check    exit status 1, and every mark whose text is another
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
NUMBER = re.compile(r"(<!-- n: (\S+) (\S+)(?: (\S+))? -->)(.*?)(<!-- /n -->)")
BLOCK = re.compile(r"(<!-- block: (\S+)(?: ([^>]*?))? -->\n)(.*?)(<!-- /block -->)", re.DOTALL)


SHARES = {"limit_fraction": "of the limit", "matmul_fraction": "of torch's matrix product"}
"""What a row is a share of, by what its file has; those without limits were measured before there were any."""


class NumbersError(Exception):
    """A mark that names no file, key or block."""


def main() -> None:
    """Rewrites or checks all pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is behind")
    options = parser.parse_args()
    behind = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        fresh = filled(text)
        if fresh == text:
            continue
        behind += differences(page, text, fresh)
        if not options.check:
            page.write_text(fresh, encoding="utf-8")
    for line in behind:
        print(line)
    if behind and options.check:
        sys.exit("run: python docs/fill_numbers.py")


def pages() -> list[Path]:
    """Every page that may hold marks."""
    return [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]


def filled(text: str) -> str:
    """``text`` with every mark's content made anew."""
    text = NUMBER.sub(lambda mark: f"{mark[1]}{number(mark[2], mark[3], mark[4] or '')}{mark[6]}", text)
    return BLOCK.sub(lambda mark: f"{mark[1]}{block(mark[2], (mark[3] or '').split())}{mark[5]}", text)


def differences(page: Path, old: str, new: str) -> list[str]:
    """Which lines of a page are behind."""
    pairs = zip(old.splitlines(), new.splitlines(), strict=False)
    place = page.relative_to(ROOT)
    lines = [f"{place}:{row}: {b.strip()}" for row, (a, b) in enumerate(pairs, start=1) if a != b]
    return lines or [f"{place}: a block has another number of lines"]


def number(file: str, key: str, form: str) -> str:
    """The value of a dotted key in a JSON file below docs/, formatted; list items by their position."""
    path = DOCS / file
    if not path.exists():
        raise NumbersError(f"{path} does not exist; measure it, or take the mark away")
    value: Any = json.loads(path.read_text(encoding="utf-8"))
    for part in key.split("."):
        try:
            value = value[int(part)] if isinstance(value, list) else value[part]
        except (KeyError, IndexError, ValueError) as error:
            raise NumbersError(f"{path} has no {key}: nothing at {part!r}") from error
    return format(value, form)


def block(name: str, arguments: list[str]) -> str:
    """The lines of a block, made by one of `BLOCKS`."""
    if name not in BLOCKS:
        raise NumbersError(f"no block is called {name!r}; there are: {', '.join(sorted(BLOCKS))}")
    return BLOCKS[name](*arguments).rstrip() + "\n"


def claims() -> str:
    """The claims that need no training, judged now."""
    from titok.commands.claims import full_size_facts
    from titok.config.claims import load_claims
    from titok.reporting.claims import judge_claims, no_scores
    from titok.reporting.claims_text import claims_markdown
    from titok.reporting.evidence import Evidence
    from titok.reporting.paper import read_paper

    facts = full_size_facts(*(ROOT / "config" / f"{name}.yaml" for name in ("published", "imagenet512", "imagenet100")))
    evidence = Evidence(read_paper(ROOT / "config/paper.csv"), facts, no_scores())
    chosen = [claim for claim in load_claims(ROOT / "config/claims.yaml") if claim.needs == "nothing"]
    return claims_markdown(judge_claims(chosen, evidence))


def calibration() -> str:
    """How often judgements are wrong, by simulation."""
    from titok.reporting.calibration import calibration as simulated
    from titok.reporting.calibration import calibration_markdown

    return calibration_markdown(simulated())


def encoders() -> str:
    """The frozen networks that are known by name, counted without weights."""
    from titok.commands.encoders import encoders_markdown
    from titok.config.encoder_records import load_encoders

    return encoders_markdown(load_encoders(ROOT / "config/encoders.yaml"))


def glossary() -> str:
    """What the pages' words mean, as studies' pages say it."""
    from titok.reporting.glossary import glossary_markdown

    return glossary_markdown()


def commands() -> str:
    """Every verb, from the command line's own help."""
    from titok.cli import build_parser
    from titok.commands.verb_pages import commands_markdown

    return commands_markdown(build_parser())


def bench(file: str) -> str:
    """Rows of a benchmark of models (`make bench`)."""
    measured = _read(file)["rows"]
    share = next(key for key in SHARES if key in measured[0])
    head = ("what", "precision", "seconds", "per second", "GFLOP", SHARES[share], "peak memory, GiB")
    rows = [
        (
            f"{row['name']}, {row['count']} {row['unit']}",
            row["precision"],
            f"{row['seconds']:.3g}",
            f"{row['per_second']:.3g}",
            f"{row['gflop']:,.0f}",
            f"{row[share]:.0%}",
            f"{row['peak_memory_gib']:.1f}",
        )
        for row in measured
    ]
    return _table(head, rows, left=2)


def gpu() -> str:
    """What was measured on GPUs (`python -m benchmarks.gpu`), a table for each; where nothing was, that it was not."""
    files = sorted((DOCS / "measurements").glob("gpu-*.json"))
    return "\n\n".join(map(_gpu, files)) or "Not measured: no `docs/measurements/gpu-*.json` is there yet."


def _gpu(path: Path) -> str:
    found = json.loads(path.read_text(encoding="utf-8"))
    device, packages, group = found["device"], found["provenance"]["packages"], found["one_process_group"]
    said = (
        f"{device.get('name', device['type'])}, driver {found['driver']}, CUDA {device.get('cuda')}, torch "
        f"{packages['torch']}; batches of {found['protocol']['inference_batch']} images, "
        f"{found['protocol']['training_batch']} in training. Under {group['backend']}, {group['what']}: "
        f"{group['group_seconds']:.3g} s a step as the only process, {group['alone_seconds']:.3g} s alone."
    )
    rows = [
        (
            row["name"],
            row["way"],
            *(
                (row["failed"], "", "")
                if "failed" in row
                else (f"{row['per_second']:.3g}", f"{row['limit_fraction']:.0%}", f"{row['peak_memory_gib']:.1f}")
            ),
        )
        for row in found["rows"]
    ]
    head = ("what", "way", "images per second", "of the limit", "peak memory, GiB")
    return f"{said}\n\n{_table(head, rows, left=2)}"


def comparisons(file: str) -> str:
    """Pairs of ways to do the same thing, from the same benchmark."""
    rows = [
        (row["name"], f"{row['slower_seconds']:.3g}", f"{row['faster_seconds']:.3g}", f"{row['speedup']:.2f}")
        for row in _read(file)["comparisons"]
    ]
    return _table(("what", "against, s", "this way, s", "times as fast"), rows)


def settings(file: str) -> str:
    """What each compute setting does to a training step (`python -m benchmarks.settings`)."""
    rows = [
        (row["name"], f"{row['seconds']:.3g}", f"{row['time_ratio']:.2f}", f"{row['memory_ratio']:.2f}")
        for row in _read(file)["rows"]
    ]
    return _table(("step", "seconds", "of the default's time", "of its memory"), rows)


def data(file: str) -> str:
    """Rows of a benchmark of preparation, reading, codes or scores, with what each cannot be faster than."""
    found = _read(file)["rows"]
    varied = [key for key in ("workers", "views") if any(key in row for row in found)]
    rate = next(key for key in ("images_per_second", "windows_per_second") if key in found[0])
    head = ("what", "images", *varied, "seconds", rate.replace("_", " "), "of the floor's speed")
    rows = [
        (
            row["what"],
            f"{row['images']:,}",
            *(str(row[key]) for key in varied),
            f"{row['seconds']:.3g}" if "seconds" in row else "",
            f"{row[rate]:,.3g}" if row[rate] < 1000 else f"{row[rate]:,.0f}",
            "" if row.get("share_of_floor") is None else f"{row['share_of_floor']:.0%}",
        )
        for row in found
    ]
    return _table(head, rows)


def trends(file: str) -> str:
    """What the study in miniature says of the paper's trends (`docs/demo_facts.py`)."""
    rows = []
    for trend in _read(file)["trends"]:
        found = trend["judgement"]
        known = found["low"] is not None
        interval = f"{found['value']:.3g} [{found['low']:.3g}, {found['high']:.3g}] {found['unit']}" if known else ""
        rows.append((trend["statement"], found["word"], interval.strip(), str(found["seeds"] or "")))
    return _table(("trend of the paper, in miniature", "judgement", "95 % interval", "seeds"), rows, left=2)


def where(*studies: str) -> str:
    """In which studies the paper's claims hold, from evidence/<study>; one without evidence was not run."""
    from titok.config.claims import load_claims
    from titok.reporting.where import read_study, where_markdown

    folders = {study: DOCS / "evidence" / study for study in studies}
    found = {study: read_study(folder) if folder.is_dir() else None for study, folder in folders.items()}
    return where_markdown(load_claims(ROOT / "config/claims.yaml"), found)


def plan(file: str) -> str:
    """What every target of a study costs (`titok plan --json`)."""
    head = ("target", "jobs", "GPU-hours", "disk, GB", "numbers of the paper")
    rows = [
        (
            f"`{row['name']}`",
            str(row["jobs"]),
            f"{row['gpu_hours']:,.0f}",
            f"{row['storage'][0] / 1e9:,.0f}",
            str(len(row["verifies"])),
        )
        for row in _read(file)["targets"]
    ]
    return _table(head, rows)


def plan_paper(file: str) -> str:
    """The same plan's hours beside the paper's."""
    rows = [
        (
            row["variant"],
            f"{row['tokenizer_hours']:,.0f}",
            f"{row['generator_hours']:,.0f}",
            f"{row['tokenizer_hours'] + row['generator_hours']:,.0f}",
            f"{row['paper_hours']:,.0f}",
        )
        for row in _read(file)["own_hours"]
    ]
    return _table(("variant", "tokenizer", "generator", "together", "paper (A100 40 GB)"), rows)


def _read(file: str) -> Any:
    return json.loads((DOCS / file).read_text(encoding="utf-8"))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table whose first ``left`` columns are text."""
    rule = ["---"] * left + ["---:"] * (len(head) - left)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


BLOCKS: dict[str, Callable[..., str]] = {
    "calibration": calibration,
    "claims": claims,
    "commands": commands,
    "encoders": encoders,
    "glossary": glossary,
    "bench": bench,
    "comparisons": comparisons,
    "gpu": gpu,
    "data": data,
    "settings": settings,
    "trends": trends,
    "where": where,
    "plan": plan,
    "plan_paper": plan_paper,
}

if __name__ == "__main__":
    main()
