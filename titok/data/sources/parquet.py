"""Parquet files of Hugging Face datasets: images as a column of structs (bytes, path), labels as numbers.

Rows are shuffled there. They are read in the order of the files, and the index sorts their names, so that the same
images have the same index in whatever form they came. Needs pyarrow, which nothing else here does.
"""

from __future__ import annotations

import glob
import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from titok.config.data_sources import ParquetSource
from titok.data.names import name_sample
from titok.data.plan import Listing, Plan, SourceError
from titok.data.sources.source import Forms, ImageSource, SourceImages
from titok.runtime.progress import progress

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile


def list_parquet(source: ParquetSource, split: str, num_classes: int) -> Listing:
    """Every image of a split; only names and labels are read."""
    files = _files(getattr(source, split), split)
    listing = Listing("parquet", [str(path) for path in files], [])
    wnids: dict[int, set[str]] = {}
    names: list[str] | None = None
    with progress(len(files), desc=f"list {split}", unit="file") as bar:
        for number, path in enumerate(files):
            table = open_parquet(path)
            _check_columns(table, source, path)
            names = names or _class_names(table, source.label_column)
            for group in range(table.num_row_groups):
                for row, (name, label) in enumerate(_names_and_labels(table, source, group, path)):
                    # Without names, rows are called by their place, which sorts like the rows themselves.
                    name = name or f"row-{number:05d}-{group:05d}-{row:06d}"
                    key, wnid = name_sample(PurePosixPath(name).name)
                    listing.add(key, name, label, file=number, offset=group, length=row)
                    if wnid is not None:
                        wnids.setdefault(label, set()).add(wnid)
            listing.sources.append({"file": path.name, "images": table.metadata.num_rows, "bytes": path.stat().st_size})
            bar.update()
    listing.class_names = _wnids_in_order(wnids, num_classes) or names or [str(label) for label in range(num_classes)]
    return listing


def count_parquet(source: ParquetSource, split: str) -> int:
    """Rows of a split, from the files' footers.

    Raises:
        SourceError: there are no such files, one is damaged, or pyarrow is missing.
    """
    return sum(open_parquet(path).metadata.num_rows for path in _files(getattr(source, split), split))


def open_parquet(path: Path) -> ParquetFile:
    """A file opened by pyarrow; raises ``SourceError`` when that is missing or the file is damaged."""
    try:
        from pyarrow import ArrowException
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise SourceError(
            f"{path} can only be read with pyarrow, which is not installed; run: pip install -e '.[parquet]'"
        ) from error
    try:
        return ParquetFile(path)
    except (OSError, ArrowException) as error:
        raise SourceError(f"{path} cannot be read ({error}); fetch the file again") from error


class _Rows(SourceImages):
    """Image bytes by file, row group and row; keeps the last row group, because rows are read in order."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._column = plan.settings["parquet"]["image_column"]
        self._table: tuple[int, ParquetFile] | None = None
        self._group: tuple[tuple[int, int], Any] | None = None

    def read(self, row: np.void) -> bytes:
        file, group = int(row["file"]), int(row["offset"])
        if self._table is None or self._table[0] != file:
            self._table = (file, open_parquet(Path(self.plan.files[file])))
        if self._group is None or self._group[0] != (file, group):
            column = self._table[1].read_row_group(group, columns=[f"{self._column}.bytes"]).column(self._column)
            self._group = ((file, group), column)
        data = self._group[1][int(row["length"])]["bytes"].as_py()
        return data or b""


class Parquet(ImageSource[ParquetSource]):
    """Files of a split."""

    forms: ClassVar[Forms] = {"parquet": _Rows}

    def listing(self, split: str) -> Listing:
        return list_parquet(self.settings, split, self.num_classes)

    def count(self, split: str, enough: int) -> int:
        return min(count_parquet(self.settings, split), enough)


def _files(pattern: str, split: str) -> list[Path]:
    found = sorted(glob.glob(str(Path(pattern).expanduser())))
    if not found:
        raise SourceError(f"dataset.parquet.{split} is {pattern!r}, but there is no such file; correct the path")
    return [Path(path) for path in found]


def _check_columns(table: ParquetFile, source: ParquetSource, path: Path) -> None:
    columns = {table.schema.column(index).path for index in range(len(table.schema))}
    missing = {f"{source.image_column}.bytes", source.label_column} - columns
    if missing:
        raise SourceError(f"{path} has no column {', no '.join(sorted(missing))}; it has: {', '.join(sorted(columns))}")


def _names_and_labels(
    table: ParquetFile, source: ParquetSource, group: int, path: Path
) -> list[tuple[str | None, int]]:
    """(path or None, label) of every row of a row group."""
    part = table.read_row_group(group, columns=[f"{source.image_column}.path", source.label_column])
    labels = part.column(source.label_column).to_pylist()
    if source.image_column in part.column_names:
        structs = part.column(source.image_column).to_pylist()
        names = [struct.get("path") if struct else None for struct in structs]
    else:
        names = [None] * len(labels)
    if not all(isinstance(label, int) for label in labels):
        raise SourceError(f"{path}: column {source.label_column} holds something else than whole numbers")
    return list(zip(names, labels, strict=True))


def _class_names(table: ParquetFile, label_column: str) -> list[str] | None:
    """The names that the datasets library keeps in the file's metadata."""
    text = (table.schema_arrow.metadata or {}).get(b"huggingface")
    if text is None:
        return None
    feature = json.loads(text).get("info", {}).get("features", {}).get(label_column, {})
    return feature.get("names")


def _wnids_in_order(wnids: dict[int, set[str]], num_classes: int) -> list[str] | None:
    """WordNet ids by label if names tell them all; raises ``SourceError`` when labels are not in their order."""
    if not wnids:
        return None
    mixed = {label: sorted(names) for label, names in wnids.items() if len(names) > 1}
    if mixed:
        label, names = min(mixed.items())
        raise SourceError(f"label {label} stands for {' and '.join(names)}; a label is one class")
    found = [min(wnids[label]) for label in sorted(wnids)]
    if found != sorted(set(found)):
        raise SourceError("labels are not in the order of the classes' WordNet ids, the standard numbering")
    return found if len(found) == num_classes else None
