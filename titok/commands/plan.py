"""``titok plan``: what a study costs, by rule and by target, before anything runs."""

from __future__ import annotations

import argparse
import sys

from titok.config.load import load_study
from titok.config.shipped import shipped
from titok.config.targets import Targets
from titok.planning.costs import Costs
from titok.planning.counts import cache_folder, kept_in
from titok.planning.device_rates import PeakShare, find_rates, read_rates
from titok.planning.graph import finish, start_snakemake
from titok.planning.measured import errors_csv, errors_text, measured_seconds, rule_errors
from titok.planning.show import make_report, markdown
from titok.reporting.paper import read_paper
from titok.runtime.files import write_json, write_text

MEASUREMENTS = "docs/measurements"


def plan(options: argparse.Namespace) -> None:
    """Prints the plan; with ``--json`` and ``--output`` also writes it."""
    study = load_study(options.config)
    # Snakemake plans beside this process.
    process = start_snakemake(options.config, [options.target], remaining=options.remaining)
    assumed = PeakShare(options.device, options.utilisation)
    measured = read_rates(options.measured, assumed) if options.measured else find_rates(shipped(MEASUREMENTS), assumed)
    rates = measured or assumed
    graph = finish(process)
    costs = Costs(graph, Targets(study), rates, options.gpus, options.gpus_per_job)
    if options.compare_with is not None:
        _compare(costs, options)
        return
    with kept_in(cache_folder()):
        report = make_report(costs, read_paper(options.paper), options.target, options.budget, options.remaining)
    text = markdown(report)
    sys.stdout.write(text)
    if options.output:
        write_text(options.output, text)
    if options.json:
        write_json(options.json, report.as_dict())


def _compare(costs: Costs, options: argparse.Namespace) -> None:
    """Prints how long rules took beside the plan; ``--output`` is then the table as CSV."""
    measured = measured_seconds(options.compare_with)
    with kept_in(cache_folder()):
        rows = rule_errors(costs, measured)
    sys.stdout.write(errors_text(rows))
    if options.output:
        write_text(options.output, errors_csv(rows))
