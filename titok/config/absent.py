"""Files and folders that a study names and this machine has not: no mistakes, for a study is valid without its data."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from typing import Any

from titok.config.data import StudyDataset
from titok.config.section import KnownBy, Section
from titok.config.study import Study


def absent_files(study: Study) -> list[str]:
    """Every path or pattern under which nothing lies, as the study writes it, once each."""
    named = dict.fromkeys([*_data(study.dataset), *_weights(study)])
    return [path for path in named if not glob.glob(path) and not glob.glob(glob.escape(path))]


def _data(dataset: StudyDataset) -> Iterator[str]:
    if dataset.cifar10:
        yield dataset.cifar10.archive
    if dataset.imagenet:
        source = dataset.imagenet
        yield from (path for path in (source.train, source.val, source.devkit, source.kaggle) if path)
    if dataset.folder:
        yield dataset.folder.root
    if dataset.parquet:
        yield from (dataset.parquet.train, dataset.parquet.test)


def _weights(value: Any) -> Iterator[str]:
    """Weights and references, wherever they are named."""
    if isinstance(value, Section):
        for name, field in type(value).model_fields.items():
            inside = getattr(value, name)
            if inside is not None and any(isinstance(mark, KnownBy) for mark in field.metadata):
                yield str(inside)
            yield from _weights(inside)
    elif isinstance(value, dict):
        for inside in value.values():
            yield from _weights(inside)
