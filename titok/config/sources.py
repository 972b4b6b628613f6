"""Where released weights are: ``config/sources.yaml`` as typed settings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from titok.config.load import ConfigError, load_job
from titok.config.section import Name, Section

SOURCES_FILE = Path(__file__).parents[2] / "config" / "sources.yaml"
"""The list of a checkout; edit it or let ``titok fetch NAME --record`` fill in a sum."""

GENERAL_NAMES = ("model.safetensors", "pytorch_model.bin")
"""Names that every repository uses for its weights."""


class Source(Section):
    """One released file of weights."""

    kind: Literal["tokenizer", "generator", "vqgan"]
    repository: Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
    """Owner and name on the Hugging Face Hub."""
    file: str = "model.safetensors"
    """The file with the weights in there."""
    has_config: bool = True
    """Whether a config.json lies beside the weights; without one they are those of the MaskGIT-VQGAN."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the file; checked before the file is opened. Null: not known yet."""
    licence: str
    """As declared by whoever released the weights."""


class Download(Section):
    """One file that losses or scores look through, at an address of its own."""

    url: Annotated[str, Field(pattern=r"^https://")]
    file: str
    """Its name here."""
    sha256_prefix: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = None
    """First digits of its SHA-256, as its publisher writes them into the name."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """All of them; null: not known yet."""
    licence: str


class Sources(Section):
    """All released weights by the name they have here."""

    models: dict[Name, Source]
    files: dict[Name, Download] = Field(default_factory=dict)

    def of_repository(self, repository: str) -> Source | None:
        """The source whose repository it is; None where there is none, or where one holds several models."""
        found = [source for source in self.models.values() if source.repository == repository]
        return found[0] if len(found) == 1 else None

    def of_file(self, path: Path) -> Source | None:
        """The source that a local file is a copy of, by its names: a file's own, or for general ones its folder's."""
        folder = path.absolute().parent.name
        for name, source in self.models.items():
            is_general = source.file in GENERAL_NAMES
            if path.name == source.file and (not is_general or folder in (name, source.repository.split("/")[1])):
                return source
        return None


def load_sources(path: Path = SOURCES_FILE) -> Sources:
    """Reads the list; raises `ConfigError` with every problem of the file."""
    return load_job(path, Sources)


def record_sha256(name: str, sha256: str, path: Path = SOURCES_FILE) -> str:
    """The text of the list with ``sha256`` as the sum of ``name``; comments and order stay.

    Raises:
        ConfigError: the entry has no ``sha256`` line to fill.
    """
    text = path.read_text(encoding="utf-8")
    entry = re.compile(rf"(^  {re.escape(name)}:\n(?:    .*\n)*?    sha256: )\S+$", re.MULTILINE)
    filled, count = entry.subn(rf'\g<1>"{sha256}"', text)  # quoted: a sum of digits alone would be a number
    if count != 1:
        raise ConfigError(f"{path}: models.{name} has no line `    sha256: null` to fill; write it under the entry")
    return filled
