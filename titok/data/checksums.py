"""Archives that were published with an MD5: read once, in order, and compared with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from titok.config.data_sources import ChecksumOverride
from titok.data.archives import HashingReader, Reader, SeekingReader
from titok.errors import DataError
from titok.runtime.progress import progress


class Published(NamedTuple):
    """An archive as its authors handed it out."""

    name: str
    md5: str


@contextmanager
def verified(
    path: Path, role: str, published: Published, override: ChecksumOverride | None, setting: str
) -> Iterator[tuple[Reader, dict[str, Any]]]:
    """(reader, note) of an archive to read in order; at the end its MD5 is checked and the note is filled.

    ``role`` is what the manifest calls the archive, ``override`` why it may differ from the published one, ``setting``
    how a study says so, for the message. Raises ``DataError`` for another sum.
    """
    expected = override.md5 if override else published.md5
    note: dict[str, Any] = {}
    with SeekingReader(path) if expected is None else _hashing(path) as reader:
        yield reader, note
        found = reader.md5()
    if found != expected:
        raise DataError(
            f"{path} has the MD5 {found}, but "
            f"{'the study expects' if override else f'{published.name} was published with'} {expected}; fetch it "
            f"again, or, if it differs on purpose, say why: {setting}"
        )
    note |= {"role": role, "file": path.name, "bytes": reader.size, "md5": found, "published_md5": published.md5}
    note |= {"differs_because": override.reason} if override else {}


@contextmanager
def _hashing(path: Path) -> Iterator[HashingReader]:
    """Reads and sums, with progress in megabytes."""
    megabyte, passed = 10**6, 0

    def advance(count: int) -> None:
        nonlocal passed
        before, passed = passed, passed + count
        bar.update(-(-passed // megabyte) - -(-before // megabyte))

    with (
        HashingReader(path, advance) as reader,
        progress(-(-reader.size // megabyte), desc=f"read {path.name}", unit="MB") as bar,
    ):
        yield reader
