"""Archives through the workflow: planned in parts, prepared without torch, and what is finished is kept.

Run: pytest tests/workflow/test_prepare_rules.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from config.studies import changed, tiny_document
from data.miniature import official, synthetic
from workflow.sandbox import Sandbox

from titok.data.shards import ShardReader

pytestmark = pytest.mark.workflow

PARTS = 3


@pytest.fixture
def archives(empty: Sandbox, tmp_path: Path) -> Sandbox:
    """A study on a miniature of the official archives, prepared in three parts."""
    source = official(tmp_path / "archives", synthetic(classes=5, val=10))
    dataset: dict[str, Any] = {**source, "resize": 18, "image_size": 16, "parts": PARTS, "shard_images": 6}
    empty.write_study(changed(tiny_document(), "dataset", dataset))
    return empty


def test_a_split_is_planned_in_parts(archives: Sandbox) -> None:
    plan = archives.plan("results/tiny/data/train.index.npz")
    assert plan.rules == {"write_config": 1, "plan_data": 1, "prepare_part": PARTS, "merge_data": 1}


def test_every_job_of_a_study_reads_the_merged_index(archives: Sandbox) -> None:
    plan = archives.plan()
    assert plan.rules["plan_data"] == plan.rules["merge_data"] == 2
    assert plan.rules["prepare_part"] == 2 * PARTS
    assert "prepare_data" not in plan.rules


def test_both_splits_are_prepared_without_torch_and_parts_are_kept(archives: Sandbox) -> None:
    wanted = [f"results/tiny/data/{split}.index.npz" for split in ("train", "test")]
    done = archives.snakemake("--cores", 2, *wanted)
    assert done.status == 0, done.said[-3000:]
    readers = {split: ShardReader(archives.results / "data", split) for split in ("train", "test")}
    assert {split: len(reader) for split, reader in readers.items()} == {"train": 25, "test": 10}
    shards = sorted((archives.results / "data").glob("*.tar"))
    times = [path.stat().st_mtime_ns for path in shards]
    for note in (archives.results / "data" / "preparation").glob("*.part-*.json"):
        note.unlink()
    again = archives.snakemake("--cores", 2, *wanted)
    assert again.status == 0, again.said[-3000:]
    assert [path.stat().st_mtime_ns for path in shards] == times, "a finished shard is not made again"


def test_a_damaged_archive_stops_the_workflow_with_its_message(archives: Sandbox, tmp_path: Path) -> None:
    archive = tmp_path / "archives" / "ILSVRC2012_img_val.tar"
    archive.write_bytes(archive.read_bytes()[:3000])
    done = archives.snakemake("--cores", 1, "results/tiny/data/test.index.npz")
    assert done.status != 0
    assert "ILSVRC2012_img_val.tar is truncated" in done.said
