"""Stored codes: parts are whole or absent, jobs share them, the merged file is memory-mapped and says what it holds.

Run: pytest tests/data/rows/test_store.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.code_toys import DATASET, VQGAN_MODEL, code_facts

from titok.config.views import StoredCodes, ViewSet
from titok.data.rows.facts import Facts, RowsError
from titok.data.rows.parts import PartFolder, covering, parts_beside, share
from titok.data.rows.store import RowStore, merge
from titok.runtime.files import FileError

SETTINGS = StoredCodes(views=ViewSet(mirrored=True), part_images=4)
MAKER = {"device": "here"}


def facts(images: int = 10, **changes: Any) -> Facts:
    return code_facts(SETTINGS.model_copy(update=changes), "cd" * 32, images)


def codes_of(images: range) -> np.ndarray:
    """(images, 2, 16), different for every image."""
    base = np.arange(images.start, images.stop)[:, None, None] * 7
    return (base + np.arange(2)[:, None] * 100 + np.arange(16)) % 1024


def write(folder: PartFolder, parts: list[range] | None = None, made_by: dict[str, str] = MAKER) -> PartFolder:
    for images in parts if parts is not None else folder.facts.parts():
        folder.write(images, codes_of(images), made_by)
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "codes" / "train.npy"


def test_facts_say_what_codes_are_of() -> None:
    found = facts()
    assert found.shape == (10, 2, 16)
    assert found.parts() == [range(4), range(4, 8), range(8, 10)]
    assert [spec["name"] for spec in found.view_specs] == ["centre", "centre mirrored"]
    assert (found.resize, found.resize_rule, found.crop, found.precision) == (18, "official", 16, "fp32")
    assert Facts.read(json.loads(json.dumps(found.as_dict())), "facts.json") == found


@pytest.mark.parametrize(
    "other",
    [{"images": 11}, {"views": ViewSet()}, {"resize": 20}, {"resize_rule": "adm"}, {"part_images": 5}],
    ids=lambda change: next(iter(change)),
)
def test_other_facts_have_another_identity(other: dict[str, Any]) -> None:
    assert facts(**other).identity != facts().identity


def test_codes_that_do_not_fit_are_refused() -> None:
    large = VQGAN_MODEL.model_copy(update={"codebook_size": 2**16 + 1})
    with pytest.raises(RowsError, match="65537 codes; allowed: at most 65536"):
        code_facts(SETTINGS, "", 1, vqgan=large)
    with pytest.raises(RowsError, match=r"windows of 18 pixels do not split into the VQGAN's patches of 4"):
        code_facts(SETTINGS, "", 1, DATASET.model_copy(update={"image_size": 18}))


def test_the_merged_file_is_one_array_read_from_disk(output: Path) -> None:
    store = merge(write(PartFolder.of(output, facts())), output)
    assert isinstance(store.rows, np.memmap)
    assert store.rows.dtype == np.dtype("<u2")
    assert np.array_equal(store.rows, codes_of(range(10)))
    assert np.array_equal(np.load(output), codes_of(range(10)))
    assert store.facts == facts()
    assert [record.made_by for record in store.records] == [MAKER] * 3
    assert not parts_beside(output).exists()
    store.verify_hashes()


def test_bytes_do_not_depend_on_jobs_or_their_order(output: Path, tmp_path: Path) -> None:
    merge(write(PartFolder.of(output, facts())), output)
    other = tmp_path / "other" / "train.npy"
    parts = facts().parts()
    for number in (2, 3, 1):
        write(PartFolder.of(other, facts()), share(parts, number, 3))
    merge(PartFolder.only(other), other, keep_parts=True)
    assert other.read_bytes() == output.read_bytes()
    assert other.with_suffix(".json").read_bytes() == output.with_suffix(".json").read_bytes()
    assert parts_beside(other).exists()


@pytest.mark.parametrize("jobs", [1, 2, 3, 5])
def test_every_part_belongs_to_one_job(jobs: int) -> None:
    parts = facts().parts()
    shares = [share(parts, number, jobs) for number in range(1, jobs + 1)]
    assert [images for chosen in shares for images in chosen] == parts
    with pytest.raises(RowsError, match="allowed: 1 to"):
        share(parts, jobs + 1, jobs)


def test_ranges_are_whole_parts() -> None:
    parts = facts().parts()
    assert covering(parts, 4, 10) == parts[1:]
    for first, end in ((1, 8), (4, 9), (3, 3), (0, 12)):
        with pytest.raises(RowsError, match=r"begin at a multiple of 4 and end at one, or at 10"):
            covering(parts, first, end)


def _truncate(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-40])


def _flip(part: Path) -> None:
    content = bytearray(part.read_bytes())
    content[-5] ^= 1
    part.write_bytes(content)


DAMAGES = {
    "array missing": lambda part: part.unlink(),
    "array cut short": _truncate,
    "array altered": _flip,
    "record missing": lambda part: part.with_suffix(".json").unlink(),
    "record no JSON": lambda part: part.with_suffix(".json").write_text('{"first":'),
    "record of something else": lambda part: part.with_suffix(".json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_half_a_part_counts_as_none(output: Path, damage: str) -> None:
    folder = write(PartFolder.of(output, facts()))
    DAMAGES[damage](folder.path / "000000004-000000008.npy")
    assert folder.missing(facts().parts()) == [range(4, 8)]
    with pytest.raises(RowsError, match=r"1 of 3 parts are missing or damaged \(images 4 to 7\); run the command"):
        merge(folder, output)
    assert not output.exists()
    write(folder, [range(4, 8)])
    assert np.array_equal(merge(folder, output).rows, codes_of(range(10)))


def test_parts_of_other_settings_are_left_alone(output: Path) -> None:
    write(PartFolder.of(output, facts(resize=20)))
    folder = PartFolder.of(output, facts())
    assert folder.missing(facts().parts()) == facts().parts()
    merge(write(folder), output)
    assert PartFolder.only(output).facts == facts(resize=20)


def test_merging_asks_which_parts_are_meant(output: Path) -> None:
    with pytest.raises(RowsError, match="holds no parts; run `titok codes extract"):
        PartFolder.only(output)
    write(PartFolder.of(output, facts(resize=20)))
    write(PartFolder.of(output, facts()))
    with pytest.raises(RowsError, match=r"parts of 2 extractions .*delete those that are not wanted"):
        PartFolder.only(output)


def test_codes_of_another_shape_or_range_are_refused(output: Path) -> None:
    folder = PartFolder.of(output, facts())
    with pytest.raises(RowsError, match=r"ids have shape \(3, 2, 16\); images 0 to 4 need \(4, 2, 16\)"):
        folder.write(range(4), codes_of(range(3)), MAKER)
    with pytest.raises(RowsError, match="ids go from 0 to 1024; allowed: 0 to 1023"):
        folder.write(range(4), np.full((4, 2, 16), 1024) * (np.arange(16) > 3), MAKER)


@pytest.fixture
def store(output: Path) -> RowStore:
    return merge(write(PartFolder.of(output, facts())), output)


def test_an_altered_file_is_found_by_its_hashes(store: RowStore) -> None:
    content = bytearray(store.path.read_bytes())
    content[-2 * 16 * 2 * 2 - 1] ^= 1  # the last code of image 7
    store.path.write_bytes(content)
    with pytest.raises(RowsError, match="the ids of images 4 to 7 are not those that were written"):
        RowStore.open(store.path).verify_hashes()


def test_a_file_that_its_facts_do_not_describe_is_refused(store: RowStore) -> None:
    np.save(store.path, np.zeros((10, 2, 15), "<u2"))
    with pytest.raises(RowsError, match=r"\(10, 2, 15\), but train\.json speaks of uint16 \(10, 2, 16\)"):
        RowStore.open(store.path)
    store.path.write_bytes(b"no array")
    with pytest.raises(RowsError, match="is no readable array"):
        RowStore.open(store.path)
    store.facts_path.unlink()
    with pytest.raises(FileError, match=r"train\.json does not exist"):
        RowStore.open(store.path)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"format": "titok-proxy-codes-0"},
            "format is 'titok-proxy-codes-0', this version reads 'titok-proxy-codes-1'",
        ),
        ({"colour": "red"}, "unexpected keyword argument 'colour'"),
        ({"view_specs": [{"name": "centre"}]}, "its views mean other windows in this version"),
    ],
)
def test_facts_that_this_version_cannot_keep_are_refused(store: RowStore, change: dict[str, Any], words: str) -> None:
    document = json.loads(store.facts_path.read_text())
    document["facts"] |= change
    store.facts_path.write_text(json.dumps(document))
    with pytest.raises(RowsError, match=words):
        RowStore.open(store.path)


def test_every_difference_is_named(store: RowStore) -> None:
    store.require({"resize": 18, "fingerprint": "cd" * 32}, "this training")
    with pytest.raises(RowsError) as caught:
        store.require({"resize": 256, "vqgan_sha256": "ef", "crop": 16}, "this training")
    message = str(caught.value)
    assert "does not fit this training" in message
    assert "resize: 18, but 256 is needed" in message
    assert "vqgan_sha256: 'abab" in message
    assert "crop" not in message
