"""``titok table | figure | checks | verdict | report``: scores to what people look at; no torch here."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.config.load import load_study
from titok.config.targets import Targets
from titok.reporting.crate import write_crate
from titok.reporting.figures.figure import Sources
from titok.reporting.figures.gallery import make_figure
from titok.reporting.outcome import described, make_outcome, read_outcome, summary
from titok.reporting.report import make_report
from titok.reporting.tables import make_table


def table(options: argparse.Namespace) -> None:
    """Writes a table as CSV, Markdown and LaTeX."""
    reporting = load_study(options.study).reporting
    make_table(options.name, reporting.tables, options.scores, options.paper, options.output.with_suffix(""))


def figure(options: argparse.Namespace) -> None:
    """Draws a figure as SVG and PNG, with the data behind it as CSV."""
    sources = Sources(options.scores, options.logs, options.images, options.paper)
    make_figure(options.name, load_study(options.study).reporting, options.output.with_suffix(""), sources)


def checks(options: argparse.Namespace) -> None:
    """Judges working checks and trends; a failed one is told by the report and by `titok verdict`."""
    study = load_study(options.study)
    make_outcome(study.reporting, options.scores, options.output, planned=Targets(study).all_scores())


def verdict(options: argparse.Namespace) -> None:
    """Fails if a working check failed; with `--strict` also if a trend does not hold."""
    found = read_outcome(options.checks)
    found.require_working()
    print(summary(found))
    for trend in found.trends:
        print(f"  - {described(trend)}")
    if options.strict:
        found.require_trends()


def crate(options: argparse.Namespace) -> None:
    """Packs a finished study."""
    study = load_study(options.study)
    count = write_crate(
        Path("results") / study.study,
        options.study,
        options.output,
        title=study.title,
        description=study.description,
        root=Path.cwd(),
        with_models=options.with_models,
    )
    print(f"{options.output}: {count} files")


def report(options: argparse.Namespace) -> None:
    """Writes the page."""
    study = load_study(options.study)
    make_report(
        study.reporting,
        options.output,
        title=study.title,
        description=study.description,
        score_files=options.scores,
        paper_file=options.paper,
        manifest_files=options.manifests,
        figure_files=options.figures,
        table_files=options.tables,
        checks_file=options.checks,
        claims_file=options.claims,
    )
