"""One section `tokenizers` for 2D VQGANs and TiToks: the same jobs as from sections of their own.

Run: pytest tests/config/test_families.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import net
import pytest
import yaml
from config.studies import ROOT, SHIPPED, changed, tiny_document, without

from titok.commands.study import study_schema
from titok.config.families import sorted_by_family
from titok.config.load import ConfigError, load_study, read_yaml


def in_one_section(document: dict[str, Any]) -> dict[str, Any]:
    """The same study with its 2D VQGANs among its tokenizers, and stage 1's proxy named."""
    own = {"vqgan": document["vqgan"]} if document.get("vqgan") else {}
    two_dimensional = {**own, **(document.get("baselines") or {})}
    entries = {name: {"family": "vqgan", **entry} for name, entry in two_dimensional.items()}
    for name, entry in (document.get("tokenizers") or {}).items():
        entries[name] = {"family": "titok", **(entry or {})}
    others = {key: value for key, value in document.items() if key not in ("vqgan", "baselines")}
    found = {**others, "tokenizers": entries}
    if (document.get("defaults") or {}).get("tokenizer", {}).get("stage1"):
        found = changed(found, "defaults.tokenizer.stage1.proxy", "vqgan")
    return found


def written(document: dict[str, Any], folder: Path) -> Path:
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_either_way_of_writing_gives_the_same_jobs(path: Path, tmp_path: Path) -> None:
    document = in_one_section(read_yaml(path))
    assert not {"vqgan", "baselines"} & document.keys()
    found = net.settings_digests(net.settings(written(document, tmp_path)))
    assert found == net.golden()[str(path.relative_to(ROOT))]["settings"]


def test_an_entry_is_the_one_of_its_own_section(tmp_path: Path) -> None:
    old = load_study(written(tiny_document(), tmp_path))
    assert load_study(written(in_one_section(tiny_document()), tmp_path)) == old
    assert old.baselines["b2d"].family == "vqgan"
    assert {entry.family for entry in old.tokenizers.values()} == {"titok"}


def test_a_document_without_such_entries_stays_as_it_is() -> None:
    document = tiny_document()
    assert sorted_by_family(document) == (document, {})
    assert sorted_by_family({"tokenizers": ["s1"]}) == ({"tokenizers": ["s1"]}, {})


B2D = {"family": "vqgan", "training": {"steps": 3, "schedule": {"warmup_steps": 1}}}


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tokenizers.s1.family", "fsq", "tokenizers.s1.family is 'fsq'; allowed: titok, vqgan"),
        ("baselines", {"b2d": B2D}, "the VQGAN 'b2d' stands in tokenizers and in baselines; keep one of them"),
        ("vqgan", {"source": "x"}, "the VQGAN 'vqgan' stands in tokenizers and in vqgan; keep one of them"),
        ("tokenizers.b2d.training.stepz", 3, "- tokenizers.b2d.training.stepz: unknown key (value 3)"),
        ("tokenizers.vqgan.training.stepz", 3, "- tokenizers.vqgan.training.stepz: unknown key (value 3)"),
        ("tokenizers.vqgan.source", "x", "- tokenizers.vqgan: training and source: both are given"),
        ("tokenizers.b2d.losses.perceptual", {"kind": "convnext_s"}, "tokenizers.b2d.losses.perceptual has kind"),
        ("tokenizers.all", B2D, "tokenizers.all: a name that means all jobs of a kind; choose another name"),
        ("defaults.tokenizer.stage1.proxy", "b2d", "stage1.proxy: found 'b2d': input should be 'vqgan'"),
    ],
)
def test_mistakes_are_told_where_the_file_has_them(key: str, value: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_study(written(changed(in_one_section(tiny_document()), key, value), tmp_path))
    assert message in str(caught.value)


def test_a_titok_called_as_the_proxy_is_told_how_to_be_one(tmp_path: Path) -> None:
    document = without(tiny_document(), "vqgan")
    with pytest.raises(ConfigError, match="choose another name, or say family: vqgan"):
        load_study(written(changed(document, "tokenizers.vqgan", document["tokenizers"]["s1"]), tmp_path))


def test_editors_know_it() -> None:
    validator = jsonschema.Draft202012Validator(study_schema())
    document = in_one_section(tiny_document())
    assert validator.is_valid(document)
    assert not validator.is_valid(without(document, "tokenizers.b2d.family"))
    assert not validator.is_valid(changed(document, "tokenizers.b2d.encoder", "s"))
    assert not validator.is_valid(changed(document, "tokenizers.s1.channels", 3))
