"""Keys that several images would share, told apart by class and, where that is not enough, by a digest.

Rows are those of ``titok.data.plan.Listing``. Official names of ImageNet stand for one image each and are left alone,
so that the same image twice is found out; so are two files of a folder that differ in their ending only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from titok.data.names import is_official, name_sample, with_digest


def keep_apart(rows: np.ndarray, class_names: Sequence[str], *, by_class: bool) -> np.ndarray:
    """The rows with other keys where several images shared one.

    ``by_class``: once file names repeat, all are called ``<class>_<file>``, as in folders of classes. Files whose keys
    still agree though their places do not (``red/car_1``, ``red_car/1``) get a digest of their place.
    """
    if by_class and _sharing(rows):
        rows = _renamed(rows, {place: _class_key(row, class_names) for place, row in _unofficial(rows)})
    changed: dict[int, str] = {}
    for places in _sharing(rows):
        wholes = [_place(rows[place], class_names) for place in places]
        if len(set(wholes)) > 1:
            key = rows[places[0]]["key"].decode()
            changed |= {place: with_digest(key, whole) for place, whole in zip(places, wholes, strict=True)}
    return _renamed(rows, changed)


def _sharing(rows: np.ndarray) -> list[list[int]]:
    """Places of the rows that have an unofficial key in common, key by key."""
    order = np.argsort(rows["key"], kind="stable")
    keys = rows["key"][order]
    groups: dict[bytes, list[int]] = {}
    for index in np.flatnonzero(keys[1:] == keys[:-1]):
        groups.setdefault(bytes(keys[index]), [int(order[index])]).append(int(order[index + 1]))
    return [places for key, places in groups.items() if not is_official(key.decode())]


def _unofficial(rows: np.ndarray) -> Iterable[tuple[int, np.void]]:
    return ((place, row) for place, row in enumerate(rows) if not is_official(row["key"].decode()))


def _class_key(row: np.void, class_names: Sequence[str]) -> str:
    return name_sample(PurePosixPath(_name(row)).name, _class_name(row, class_names)).key


def _place(row: np.void, class_names: Sequence[str]) -> str:
    """Class and path of an image, without its ending."""
    return f"{_class_name(row, class_names)}/{PurePosixPath(_name(row)).with_suffix('')}"


def _class_name(row: np.void, class_names: Sequence[str]) -> str:
    """Its number, where there is no such class (which is refused later)."""
    label = int(row["label"])
    return class_names[label] if 0 <= label < len(class_names) else str(label)


def _name(row: np.void) -> str:
    return bytes(row["name"]).decode("utf-8", "surrogateescape")


def _renamed(rows: np.ndarray, keys: Mapping[int, str]) -> np.ndarray:
    """The rows, those at the places in ``keys`` with other keys."""
    if not keys:
        return rows
    width = max(rows.dtype["key"].itemsize, max(map(len, keys.values())))
    kinds = [(name, f"S{width}" if name == "key" else rows.dtype[name]) for name in rows.dtype.names or ()]
    renamed = rows.astype(np.dtype(kinds))
    renamed["key"][list(keys)] = [key.encode() for key in keys.values()]
    return renamed
