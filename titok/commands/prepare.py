"""``titok prepare``: archives, folders and Parquet files to shards, at once or step by step. Never imports torch."""

from __future__ import annotations

import argparse
import re

from titok.config.data_jobs import DataJob
from titok.config.load import ConfigError, load_job
from titok.data.prepare import SPLITS, merge_split, plan_split, prepare, prepare_part


def run(options: argparse.Namespace) -> None:
    """Does one step, or all of them."""
    config = load_job(options.config, DataJob).dataset
    if options.step == "all":
        if options.split or options.part:
            raise ConfigError("--split and --part belong to single steps; name one: plan, part or merge")
        prepare(config, options.output, options.jobs)
        return
    if config.kind == "digits":
        raise ConfigError("kind 'digits' is prepared in one step; leave out plan, part and merge")
    if options.split is None:
        raise ConfigError(f"--split is missing; allowed: {', '.join(SPLITS)}")
    if options.step == "plan":
        plan = plan_split(config, options.output, options.split)
        print(f"{plan.num_images} images of {len(plan.class_names)} classes, for {plan.num_shards} shards")
    elif options.step == "part":
        part, parts = _part(options.part)
        prepare_part(config, options.output, options.split, part, parts, options.jobs)
    else:
        merge_split(config, options.output, options.split)


def _part(text: str | None) -> tuple[int, int]:
    """`3/16` as (3, 16)."""
    found = re.fullmatch(r"(\d+)/(\d+)", text or "")
    if found is None:
        raise ConfigError(f"--part is {text!r}; write which of how many, e.g. --part 3/16")
    return int(found[1]), int(found[2])
