"""From archives to shards: plan a split, prepare its parts in any order and on any number of machines, merge them.

Each step may be killed at any moment and run again. A part looks for the shards that are finished and makes the others;
shards are cut by the plan, so the bytes are the same however many parts, jobs and kills there were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from titok.config.data import Preparation
from titok.data.dataset_manifest import dataset_manifest, manifest_path
from titok.data.messages import listed
from titok.data.plan import Plan, SourceError, load_plan, make_plan, plan_paths, plan_settings, save_plan
from titok.data.shard_file import shard_name
from titok.data.shard_index import write_index
from titok.data.shard_task import Finished, finished, workspace
from titok.data.shard_workers import write_shards
from titok.data.sources.digits import prepare_digits
from titok.data.sources.kinds import source_of
from titok.errors import DataError
from titok.runtime.files import write_json

SPLITS = ("train", "test")


def prepare(config: Preparation, output: Path, jobs: int = 1) -> None:
    """Everything, with ``jobs`` processes: shards, index and manifest of both splits, or what is missing of them."""
    if config.kind == "digits":
        prepare_digits(output, config)
        return
    for split in SPLITS:
        if not _plan_stands(config, output, split):
            plan_split(config, output, split)
        prepare_part(config, output, split, 1, 1, jobs)
        merge_split(config, output, split)


def plan_split(config: Preparation, output: Path, split: str) -> Plan:
    """Finds every image of a split, checks names, labels and archives, and writes down what is to be done."""
    source = source_of(config)
    if source is None:
        raise SourceError(f"kind {config.kind!r} is prepared in one step: `titok prepare` without plan, part or merge")
    plan = make_plan(source.listing(split), config, split)
    save_plan(workspace(output), plan)
    return plan


def prepare_part(config: Preparation, output: Path, split: str, part: int, parts: int, jobs: int = 1) -> Path:
    """Makes the shards of part ``part`` (from 1) of ``parts`` with ``jobs`` processes; returns the note it leaves.

    Raises ``DataError`` after the whole part was looked at, so that one run names all of them.
    """
    if not 1 <= part <= parts:
        raise SourceError(f"part is {part}/{parts}; allowed: 1/{parts} to {parts}/{parts}")
    plan = _planned(config, output, split)
    numbers = plan.part(part - 1, parts)
    _remove_partial(output, split, numbers)
    done = {number: shard.about for number in numbers if (shard := finished(output, plan, number))}
    if _excess(config, split, list(done.values())):  # The user may have mended them since.
        done = {number: about for number, about in done.items() if not about["undecodable"]}
    images_done = sum(len(plan.shard_rows(number)) for number in done)
    write_shards(output, plan, [number for number in numbers if number not in done], jobs, images_done=images_done)
    _refuse_excess(config, split, [shard.about for shard in _finished(output, plan, numbers)])
    note = part_note(output, split, part, parts)
    write_json(note, {"split": split, "part": part, "parts": parts, "shards": list(numbers)})
    return note


def part_note(output: Path, split: str, part: int, parts: int) -> Path:
    """The file that says that a part is done."""
    return workspace(output) / f"{split}.part-{part}-of-{parts}.json"


def merge_split(config: Preparation, output: Path, split: str) -> None:
    """Writes the one index of all shards, in the order of the keys, and the manifest; removes what is left over."""
    plan = _planned(config, output, split)
    abouts = [shard.about for shard in _finished(output, plan, range(plan.num_shards))]
    _refuse_excess(config, split, abouts)
    columns = _columns_in_key_order(output, plan)
    _refuse_emptied(plan, columns, abouts)
    shards = [
        {"name": shard_name(split, number), "bytes": about["bytes"], "samples": about["samples"]}
        for number, about in enumerate(abouts)
    ]
    source = {"manifest": manifest_path(output, split).name}
    fingerprint = write_index(output, split, columns, shards, {"class_names": plan.class_names, "source": source})
    write_json(manifest_path(output, split), dataset_manifest(plan, config, columns, abouts, fingerprint))
    _remove_left_over(output, plan)


def _planned(config: Preparation, output: Path, split: str) -> Plan:
    plan = load_plan(workspace(output), split)
    if plan.settings != plan_settings(config):
        head = plan_paths(workspace(output), split)[1]
        raise SourceError(f"{head} was made with other settings; run `titok prepare plan`")
    return plan


def _plan_stands(config: Preparation, output: Path, split: str) -> bool:
    """Whether an interrupted run's plan can be used: archives are summed for minutes, all else is listed quickly."""
    head = plan_paths(workspace(output), split)[1]
    if not head.exists():
        return False
    plan = load_plan(workspace(output), split)
    if not plan.is_archive or plan.settings != plan_settings(config) or plan.changed_archives():
        return False
    return all(Path(path).stat().st_mtime <= head.stat().st_mtime for path in plan.files)


def _finished(output: Path, plan: Plan, numbers: range) -> Iterator[Finished]:
    for number in numbers:
        shard = finished(output, plan, number)
        if shard is None:
            name = shard_name(plan.split, number)
            raise SourceError(f"{output / name} is not prepared yet; run `titok prepare part` for every part")
        yield shard


def _excess(config: Preparation, split: str, abouts: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The undecodable images if there are more than may be, else none."""
    found = [image for about in abouts for image in about["undecodable"]]
    return found if len(found) > (config.allow_undecodable if split == "train" else 0) else []


def _refuse_excess(config: Preparation, split: str, abouts: list[dict[str, Any]]) -> None:
    found = _excess(config, split, abouts)
    if not found:
        return
    lines = listed([_told(image) for image in found])
    remedy = (
        f"replace them, or leave them out by setting dataset.allow_undecodable (now {config.allow_undecodable}) to the "
        f"number you accept"
        if split == "train"
        else "replace them: scores are not comparable when test images are left out"
    )
    raise DataError(f"{len(found)} image(s) of split {split!r} cannot be decoded; {remedy}:{lines}")


def _refuse_emptied(plan: Plan, columns: dict[str, np.ndarray], abouts: list[dict[str, Any]]) -> None:
    """A class must not vanish because its images were left out; the plan has refused those that had none."""
    classes = len(plan.class_names)
    planned, left = (np.bincount(labels, minlength=classes) for labels in (plan.rows["label"], columns["label"]))
    emptied = [plan.class_names[label] for label in np.flatnonzero((planned > 0) & (left == 0))]
    if emptied:
        kind = "training image" if plan.split == "train" else f"image of split {plan.split!r}"
        bad = [_told(image) for about in abouts for image in about["undecodable"]]
        raise SourceError(
            f"{len(emptied)} class(es) have no {kind} left: {', '.join(emptied[:5])}{', ...' if emptied[5:] else ''}; "
            f"replace some of the {len(bad)} image(s) that cannot be decoded:{listed(bad)}"
        )


def _told(image: dict[str, str]) -> str:
    return f"{image['file']}: {image['name']}: {image['reason']}"


def _columns_in_key_order(output: Path, plan: Plan) -> dict[str, np.ndarray]:
    """The records of all shards as one table; they are read twice rather than held in memory twice."""
    numbers = range(plan.num_shards)
    keys = np.concatenate([shard.columns["key"] for shard in _finished(output, plan, numbers)])
    place = np.empty(len(keys), dtype=np.int64)
    place[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    columns: dict[str, np.ndarray] = {}
    start = 0
    for shard in _finished(output, plan, numbers):
        if not columns:
            columns = {name: np.empty(len(keys), column.dtype) for name, column in shard.columns.items()}
            columns["key"] = np.empty_like(keys)  # The longest key decides its width.
        places = place[start : start + len(shard.columns["key"])]
        for name, column in shard.columns.items():
            columns[name][places] = column
        start += len(places)
    return columns


def _remove_left_over(output: Path, plan: Plan) -> None:
    """Half-written files of killed jobs, and shards of an earlier plan that had more of them."""
    for path in _files_of(output, plan.split):
        shard = re.match(rf"{plan.split}-(\d+)\.(tar|records\.npz)$", path.name)
        if path.name.startswith(".") or (shard and int(shard[1]) >= plan.num_shards):
            path.unlink(missing_ok=True)


def _remove_partial(output: Path, split: str, numbers: range) -> None:
    """What killed jobs left of the shards that are about to be made."""
    for path in _files_of(output, split):
        shard = re.match(rf"\.{split}-(\d+)\.", path.name)
        if shard and int(shard[1]) in numbers:
            path.unlink(missing_ok=True)


def _files_of(output: Path, split: str) -> list[Path]:
    """Files of a split in the output and its workspace, the temporary ones of ``atomic_path`` included."""
    folders = [folder for folder in (output, workspace(output)) if folder.is_dir()]
    name = re.compile(rf"\.{split}[-.].*\.partial\.\w+|{split}[-.].*")
    return [path for folder in folders for path in folder.iterdir() if name.fullmatch(path.name)]
