"""What other programs made stands in a study as rows like any other; other pictures are scored anew.

Run: pytest tests/workflow/test_external.py
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from config.studies import changed, study_of, tiny_document
from workflow.sandbox import Sandbox

from titok.config.absent import absent_files
from titok.config.targets import Targets

pytestmark = pytest.mark.workflow

ENTRY = {"reconstructions": "made/jpeg", "bits_per_image": 900, "source": "Pillow", "licence": "HPND"}
ROW = {"label": "JPEG, another program", "tokenizer": "jpeg10", "stage": "external"}


def with_external(**changes: Any) -> dict[str, Any]:
    document = changed(tiny_document(), "external", {"jpeg10": {**ENTRY, **changes}})
    rows = document["reporting"]["tables"]["table3c"]["rows"]
    return changed(document, "reporting.tables.table3c.rows", [*rows, ROW])


def test_a_row_of_a_table_asks_for_its_score(empty: Sandbox) -> None:
    (empty.folder / "made" / "jpeg").mkdir(parents=True)
    empty.write_study(with_external())
    score = "results/tiny/scores/reconstruction/jpeg10/external/seed0.json"
    plan = empty.plan("results/tiny/tables/table3c.md")
    assert score in plan.jobs("score_external")
    assert not {"train_generator", "sample_generator"} & set(plan.rules)
    assert score in empty.plan().jobs("score_external"), "every table and figure"


def test_other_pictures_in_the_folder_are_another_job(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"one")

    def told() -> str:
        return Targets(study_of(with_external(reconstructions=str(tmp_path)))).settings("external", "jpeg10")

    first = told()
    assert told() == first
    picture.write_bytes(b"two")
    os.utime(picture, ns=(1, 1))
    second = told()
    assert second != first
    (tmp_path / "b.png").write_bytes(b"")
    assert told() not in (first, second)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codebook_size": 16}, "codebook_size is 16, but num_latent_tokens is null"),
        ({"licence": ""}, "licence"),
        ({"pairing": "chance"}, "pairing"),
    ],
)
def test_entries_that_say_too_little_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        study_of(with_external(**changes))


def test_names_and_stages_are_those_that_there_are() -> None:
    taken = changed(tiny_document(), "external", {"vqgan": ENTRY})
    with pytest.raises(ValueError, match=r"external\.vqgan: a name that a tokenizer, a codec or the VQGAN has"):
        study_of(taken)
    document = with_external()
    document["reporting"]["tables"]["table3c"]["rows"][-1] = {**ROW, "stage": "stage2"}
    with pytest.raises(ValueError, match=r"stage.*'external'|external"):
        study_of(document)
    learned = changed(with_external(), "generators.b2-vit.tokenizer", "jpeg10")
    with pytest.raises(ValueError, match="of which there are reconstructions and no tokens"):
        study_of(learned)


IDS = {"num_latent_tokens": 4, "codebook_size": 12, "tokens": {"path": "made/ids.npz"}}


def with_ids(**changes: Any) -> dict[str, Any]:
    return changed(with_external(**{**IDS, **changes}), "generators.theirs", {"tokenizer": "jpeg10"})


def test_a_generator_of_its_ids_is_trained_and_never_sampled_here(empty: Sandbox) -> None:
    (empty.folder / "made" / "jpeg").mkdir(parents=True)
    (empty.folder / "made" / "ids.npz").write_bytes(b"ids")
    empty.write_study(with_ids())
    plan = empty.plan("results/tiny/generators/theirs/seed0/model.safetensors")
    assert plan.jobs("bring_in_external_tokens") == {"results/tiny/tokens/jpeg10/seed0/external.npz"}
    assert "extract_tokens" not in plan.rules
    scores = Targets(study_of(with_ids())).all_scores()
    assert not [path for path in scores if "/generation/theirs/" in path]
    assert [path for path in scores if "/generation/" in path]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"codebook_size": None}, "tokens has ids, but codebook_size is null"),
        ({"num_latent_tokens": None, "codebook_size": None}, "num_latent_tokens and codebook_size is null"),
        ({"codebook_size": 70_000}, "codebook_size is 70000; allowed: up to 65536"),
        ({"tokens": {"file": "x"}}, "path"),
    ],
)
def test_ids_that_nobody_described_are_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        study_of(with_ids(**changes))


def with_decoded(*samplers: str, **row: str) -> dict[str, Any]:
    """With a row of table1 that shows what the other program made of this generator's ids."""
    document = changed(with_ids(), "generators.theirs.samplers", ["two-steps", "unguided"])
    decoded = {sampler: f"made/{sampler}.npz" for sampler in samplers}
    document = changed(document, "generators.theirs.decoded", decoded)
    rows = document["reporting"]["tables"]["table1"]["rows"]
    shown = {"label": "Theirs", "tokenizer": "jpeg10", "stage": "external", "generator": "theirs", **row}
    return changed(document, "reporting.tables.table1.rows", [*rows, {"sampler": "two-steps", **shown}])


def test_what_its_decoder_makes_is_scored_and_shown(empty: Sandbox) -> None:
    (empty.folder / "made" / "jpeg").mkdir(parents=True)
    for name in ("ids.npz", "two-steps.npz"):
        (empty.folder / "made" / name).write_bytes(b"theirs")
    empty.write_study(with_decoded("two-steps"))
    ids, score = (f"results/tiny/{what}/theirs/two-steps/seed0" for what in ("ids", "scores/generation"))
    plan = empty.plan("results/tiny/tables/table1.md")
    assert plan.jobs("score_decoded") == {f"{score}.json"}
    assert plan.jobs("sample_ids") == {f"{ids}.npz"}
    assert f"{score}.json" not in plan.jobs("score_generation")
    assert all("/theirs/" not in samples for samples in plan.jobs("sample_generator"))
    assert f"{score}.json" in empty.plan().jobs("score_decoded"), "every table and figure"
    (empty.folder / "made" / "two-steps.npz").unlink()
    assert "score_decoded" not in empty.plan(f"{ids}.npz").rules, "ids come before the images"


def test_only_its_speed_is_not_measured() -> None:
    document = changed(with_decoded("two-steps"), "throughput", {"batch_size": 2})
    targets = Targets(study_of(document))
    score = "results/tiny/scores/generation/theirs/two-steps/seed0.json"
    for scores in (targets.all_scores(), targets.table_scores("table1")):
        assert [path for path in scores if "/theirs/" in path] == [score]
    assert any("/throughput/" in path for path in targets.table_scores("table1"))


def test_images_that_nobody_made_are_told_as_absent() -> None:
    assert "made/two-steps.npz" in absent_files(study_of(with_decoded("two-steps")))


def test_rows_show_what_a_study_names_and_nothing_else() -> None:
    where = r"results/tiny/ids/theirs/two-steps/seed0.npz and name their file in generators.theirs.decoded.two-steps"
    with pytest.raises(ValueError, match=rf"table1.rows.2.sampler: .* whose decoder is not here; take .*{where}"):
        study_of(with_decoded())
    with pytest.raises(
        ValueError, match=r"generators.theirs.decoded names the samplers maskgit; allowed: .* two-steps"
    ):
        study_of(with_decoded("two-steps", "maskgit"))
    ours = changed(tiny_document(), "generators.b2-vit.decoded", {"two-steps": "made/two-steps.npz"})
    with pytest.raises(ValueError, match=r"generators.b2-vit.decoded has images of two-steps, but the decoder of"):
        study_of(ours)
    pictures = {"generator": "theirs", "sampler": "two-steps", "per_class": 2}
    shown = changed(with_decoded("two-steps"), "reporting.figures.samples", pictures)
    with pytest.raises(ValueError, match=r"reporting.figures.samples.*neither speed nor pictures .* a listed table"):
        study_of(shown)
