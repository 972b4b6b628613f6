"""``titok table | figure | checks | verdict | report``: scores to what people look at; no torch here."""

from __future__ import annotations

import argparse
from pathlib import Path

from titok.config.load import load_study
from titok.reporting import checks as property_checks
from titok.reporting.crate import write_crate
from titok.reporting.figures import make_figure
from titok.reporting.grids import make_reconstructions, make_samples
from titok.reporting.report import make_report
from titok.reporting.tables import make_table
from titok.runtime.files import read_json


def table(options: argparse.Namespace) -> None:
    """Writes a table as CSV, Markdown and LaTeX."""
    reporting = load_study(options.study).reporting
    make_table(options.name, reporting.tables, options.scores, options.paper, options.output.with_suffix(""))


def figure(options: argparse.Namespace) -> None:
    """Draws a figure as SVG and PNG, with the data behind it as CSV."""
    reporting = load_study(options.study).reporting
    prefix = options.output.with_suffix("")
    if options.name == "reconstructions" and reporting.figures.reconstructions:
        make_reconstructions(reporting.figures.reconstructions, options.images, prefix, reporting.figure_dpi)
    elif options.name == "samples" and reporting.figures.samples:
        make_samples(reporting.figures.samples, options.images[0], prefix, reporting.figure_dpi)
    else:
        make_figure(
            options.name,
            reporting,
            prefix,
            score_files=options.scores,
            log_files=options.logs,
            paper_file=options.paper,
        )


def checks(options: argparse.Namespace) -> None:
    """Judges the study's properties; a failed one is told by the report and by `titok verdict`."""
    property_checks.make_checks(load_study(options.study).reporting, options.scores, options.output)


def verdict(options: argparse.Namespace) -> None:
    """Fails if a check failed."""
    found = [property_checks.Check(**entry) for entry in read_json(options.checks)]
    property_checks.require_passed(found)
    print(f"all {len(found)} checks passed")


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
