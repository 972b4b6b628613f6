"""``titok plan``: what a study costs, by rule and by target, before anything runs."""

from __future__ import annotations

import argparse
import sys

from titok.config.load import load_study
from titok.config.shipped import shipped
from titok.config.targets import Targets
from titok.planning.costs import Costs
from titok.planning.counts import cache_folder, kept_in
from titok.planning.device_rates import CoreRate, PeakShare, Rates, find_rates, read_rates
from titok.planning.graph import finish, start_snakemake
from titok.planning.measured import errors_csv, errors_text, gflops_reached, measured_seconds, rule_errors
from titok.planning.show import make_report, markdown
from titok.reporting.paper import read_paper
from titok.runtime.files import write_json, write_text

MEASUREMENTS = "docs/measurements"


def plan(options: argparse.Namespace) -> None:
    """Prints the plan; with ``--json`` and ``--output`` also writes it."""
    study = load_study(options.config)
    # Snakemake plans beside this process.
    process = start_snakemake(options.config, [options.target], remaining=options.remaining)
    rates = _rates(options)
    graph = finish(process)
    # On a core each job is one process.
    devices, most = (options.cores, 1) if options.cores else (options.gpus, options.gpus_per_job)
    costs = Costs(graph, Targets(study), rates, devices, most)
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


def _rates(options: argparse.Namespace) -> Rates:
    """Of a core as told, of a GPU as measured, or else a share of its peak."""
    if options.cores:
        return CoreRate(options.gflops_per_core)
    assumed = PeakShare(options.device, options.utilisation)
    measured = read_rates(options.measured, assumed) if options.measured else find_rates(shipped(MEASUREMENTS), assumed)
    return measured or assumed


def _compare(costs: Costs, options: argparse.Namespace) -> None:
    """Prints how long rules took beside the plan; ``--output`` is then the table as CSV."""
    measured = measured_seconds(options.compare_with)
    with kept_in(cache_folder()):
        rows = rule_errors(costs, measured)
        reached = gflops_reached(costs, measured)
    sys.stdout.write(errors_text(rows))
    sys.stdout.write(f"\nCounted operations went at {reached:.3g} GFLOP/s a job, what is not counted included.\n")
    if options.output:
        write_text(options.output, errors_csv(rows))
