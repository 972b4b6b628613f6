"""Which study file a run of the workflow is about."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from titok.config.load import ConfigError
from titok.config.shipped import shipped

DEFAULT_STUDY = "config/digits.yaml"
KNOWN_KEY = "study"
"""The one key of `--config`."""


def study_file(configfiles: Sequence[str | Path], given: Mapping[str, object], here: Path) -> str:
    """The study that `--configfile FILE` or `--config study=FILE` names, or the one in miniature.

    Snakemake would merge configfiles and lay `--config` over them. A study is one file, whose name its results keep, so
    whatever would change it from outside is refused.

    Args:
        configfiles: of the command line and the profile; Snakemake has made their paths absolute.
        given: what `--config` says.
        here: the working folder, from which paths below it are told.

    Raises:
        ConfigError: two files are named, or other settings given.
    """
    if others := sorted(set(given) - {KNOWN_KEY}):
        raise ConfigError(
            f"--config knows `{KNOWN_KEY}` only, found {', '.join(others)}; change the study file, or a copy of it "
            f"with another name (its key `study`), and run that one: --config {KNOWN_KEY}=config/mine.yaml"
        )
    named = given.get(KNOWN_KEY)
    if KNOWN_KEY in given and not (isinstance(named, str) and named):
        raise ConfigError(f"--config {KNOWN_KEY} is {named!r}; give the path of a study file, e.g. {DEFAULT_STUDY}")
    files = [*map(str, configfiles), *([str(named)] if named else [])]
    different = list({os.path.abspath(here / file): file for file in files}.values())
    if len(different) > 1:
        raise ConfigError(
            f"{len(different)} study files were named: {', '.join(different)}; a study is one file and nothing is "
            f"merged into it: name one (targets come before --configfile, which takes every word after it)"
        )
    path = Path(different[0]) if different else shipped(DEFAULT_STUDY)
    below = str(path.relative_to(here) if path.is_relative_to(here) else path)
    return f"./{below}" if below.startswith("-") else below  # which would be an option on the jobs' command lines
