"""Stored proxy codes in the workflow: planned only where a study wants them, by one job or several, and learned from.

Run: pytest tests/workflow/test_proxy_codes.py
"""

from __future__ import annotations

import json

import pytest
from config.studies import changed, study_of, tiny_document
from workflow.sandbox import Sandbox

from titok.config.load import ConfigError, load_study
from titok.config.targets import Targets
from titok.data.rows.store import RowStore

pytestmark = pytest.mark.workflow
STAGE1 = "results/tiny/tokenizers/s1/seed0/stage1/model.safetensors"


def with_codes(sandbox: Sandbox, **settings: object) -> Sandbox:
    sandbox.write_study({**tiny_document(), "proxy_codes": settings})
    return sandbox


def test_studies_without_them_plan_none(empty: Sandbox) -> None:
    plan = empty.plan(STAGE1)
    assert not {"extract_codes", "extract_codes_share"} & plan.rules.keys()
    assert "--codes" not in plan.text


def test_one_job_extracts_for_all_tokenizers(empty: Sandbox) -> None:
    plan = with_codes(empty, views={"mirrored": True}).plan("--printshellcmds")
    assert (plan.rules["extract_codes"], plan.rules["extract_codes_share"]) == (1, 0)
    assert plan.rules["train_stage1"] == 4
    assert plan.text.count("--codes results/tiny/codes/train.npy") == 4


def test_several_jobs_share_the_work(empty: Sandbox) -> None:
    plan = with_codes(empty, jobs=3).plan("--printshellcmds", STAGE1)
    assert (plan.rules["extract_codes"], plan.rules["extract_codes_share"]) == (1, 3)
    assert {f"--part {share}/3" in plan.text for share in (1, 2, 3)} == {True}


def test_the_number_of_jobs_changes_no_settings() -> None:
    one, many = (Targets(study_of({**tiny_document(), "proxy_codes": {"jobs": jobs}})) for jobs in (1, 8))
    assert one.settings("codes", "all") == many.settings("codes", "all")
    assert one.settings("stage1", "s1") == many.settings("stage1", "s1")


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"proxy_codes": {"resize": 15}}, r"proxy_codes\.resize is 15, smaller than dataset\.image_size 16"),
        ({"proxy_codes": {"views": {"ten_crop": True}}}, r"proxy_codes\.views\.ten_crop: unknown key"),
    ],
)
def test_mistakes_are_told_by_key(empty: Sandbox, document: dict[str, object], words: str) -> None:
    empty.write_study({**tiny_document(), **document})
    with pytest.raises(ConfigError, match=words):
        load_study(empty.study_file)


def test_codes_need_a_vqgan(empty: Sandbox) -> None:
    document = changed(tiny_document(), "proxy_codes", {})
    for section in ("vqgan", "tokenizers", "generators", "reporting"):
        document.pop(section)
    empty.write_study(document)
    with pytest.raises(ConfigError, match="proxy_codes are wanted but the study has no vqgan section"):
        load_study(empty.study_file)


@pytest.mark.long
def test_stage1_learns_from_what_two_jobs_extracted(empty: Sandbox) -> None:
    views = {"crops": "five", "mirrored": True, "random_crops": 1}
    with_codes(empty, views=views, part_images=400, jobs=2)
    done = empty.snakemake("--cores", 2, STAGE1, torch=True)
    assert done.status == 0, done.said[-5000:]
    store = RowStore.open(empty.results / "codes" / "train.npy")
    assert store.facts.shape == (1297, 11, 16)
    assert not store.path.with_suffix(".parts").exists()
    manifest = json.loads((empty.folder / STAGE1).with_name("manifest.json").read_text())
    assert manifest["provenance"]["inputs"]["codes"]["file"] == "train.json"
    again = empty.dry_run(STAGE1)
    assert "Nothing to be done" in again.said
