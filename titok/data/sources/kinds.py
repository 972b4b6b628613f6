"""All sources by kind, and what reads their images by form."""

from __future__ import annotations

from typing import Any

from titok.config.data_sources import SourcedDataset
from titok.data.plan import Plan
from titok.data.sources.cifar10 import Cifar10
from titok.data.sources.folder import Folder
from titok.data.sources.idx import Idx
from titok.data.sources.imagenet import ImageNet
from titok.data.sources.parquet import Parquet
from titok.data.sources.source import ImageSource, SourceImages

SOURCES: dict[str, type[ImageSource[Any]]] = {
    "cifar10": Cifar10,
    "idx": Idx,
    "imagenet": ImageNet,
    "folder": Folder,
    "parquet": Parquet,
}
"""All but `digits`, which is prepared in one step (`titok.data.sources.digits`)."""

FORMS: dict[str, type[SourceImages]] = {
    form: reader for kind in SOURCES.values() for form, reader in kind.forms.items()
}


def source_of(config: SourcedDataset) -> ImageSource[Any] | None:
    """What finds the images of a study; None for the kind that needs no finding."""
    kind = SOURCES.get(config.kind)
    return kind(config.source, config.num_classes) if kind else None


def open_source(plan: Plan) -> SourceImages:
    """What reads the images of a plan from their source."""
    return FORMS[plan.form](plan)
