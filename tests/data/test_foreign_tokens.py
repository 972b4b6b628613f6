"""Before anything runs, `titok check` compares files of another program's ids with what a study says of them.

What needs the images is in tests/commands/test_external_tokens.py. Run: pytest tests/data/test_foreign_tokens.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from config.studies import changed, study_of, tiny_document

from titok.cli import main
from titok.data.foreign_tokens import require_fitting_ids
from titok.errors import TokenError
from titok.runtime.files import save_npz

IMAGES = 1297
"""Digits of the small study that are not its test images."""
VALUES = 12


def study_with(path: Path) -> dict[str, Any]:
    """The small study with four ids per image of another program."""
    told = {"num_latent_tokens": 4, "codebook_size": VALUES, "tokens": {"path": str(path)}}
    theirs = {"reconstructions": "made", "source": "a command", "licence": "MIT", **told}
    return changed(tiny_document(), "external", {"theirs": theirs})


def arrays(images: int = IMAGES, tokens: int = 4) -> dict[str, np.ndarray]:
    ids = np.arange(images * tokens).reshape(images, tokens) % VALUES
    return {"ids": ids, "labels": np.zeros(images, int)}


def spoilt(**changes: np.ndarray) -> dict[str, np.ndarray]:
    return arrays() | changes


def test_what_fits_is_in_order_and_what_is_not_here_is_not_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "ids.npz"
    require_fitting_ids(study_of(study_with(path)))
    save_npz(path, **arrays())
    require_fitting_ids(study_of(study_with(path)))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"codes": arrays()["ids"]}, "has the arrays codes; needed: ids (N, K)"),
        ({"ids": arrays()["ids"]}, "has the arrays ids; needed: ids (N, K)"),
        (spoilt(lengths=arrays()["labels"]), "has lengths; every image needs 4 ids"),
        (arrays(tokens=3), "ids of shape (1297, 3); there are 1297 training images of 4 ids (num_latent_tokens)"),
        (arrays(images=90), "ids of shape (90, 4); there are 1297 training images of 4 ids"),
        (spoilt(ids=arrays()["ids"] / 2), "ids of type float64; ids are whole numbers"),
        (spoilt(ids=arrays()["ids"] + 1), "have values such as 12; allowed: 0 to 11 (codebook_size 12)"),
        (spoilt(names=np.array(["a"])), "has names of shape (1,) for 1297 rows"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_key(found: dict[str, np.ndarray], said: str, tmp_path: Path) -> None:
    save_npz(tmp_path / "ids.npz", **found)
    study = study_of(study_with(tmp_path / "ids.npz"))
    with pytest.raises(TokenError) as error:
        require_fitting_ids(study)
    assert str(error.value).startswith(f"external.theirs.tokens: {tmp_path}/ids.npz")
    assert said in str(error.value)


def test_rows_are_counted_where_the_study_says_how_many_images_there_will_be(tmp_path: Path) -> None:
    folder = {"kind": "folder", "folder": {"root": "nowhere"}, "num_classes": 10, "resize": 18, "image_size": 16}
    document = changed(study_with(tmp_path / "ids.npz"), "dataset", folder)
    save_npz(tmp_path / "ids.npz", **arrays(images=90))
    require_fitting_ids(study_of(document))
    stated = changed(document, "dataset.images", {"train": 91, "test": 500})
    with pytest.raises(TokenError, match="there are 91 training images of 4 ids"):
        require_fitting_ids(study_of(stated))
    require_fitting_ids(study_of(changed(stated, "dataset.allow_undecodable", 1)))
    save_npz(tmp_path / "ids.npz", **arrays(images=90, tokens=3))
    with pytest.raises(TokenError, match=r"shape \(90, 3\); there are training images of 4 ids"):
        require_fitting_ids(study_of(document))


def test_titok_check_says_so_of_every_file(tmp_path: Path) -> None:
    (tmp_path / "ids.npz").write_bytes(b"PK, and no archive")
    document, study = study_with(tmp_path / "ids.npz"), tmp_path / "study.yaml"
    both = changed(document, "external.others", document["external"]["theirs"])
    study.write_text(yaml.safe_dump(both, sort_keys=False))
    with pytest.raises(SystemExit) as caught:
        main(["check", str(study)])
    said = str(caught.value.code)
    assert said.startswith(f"titok: ConfigError: {study}: external.theirs.tokens: {tmp_path}/ids.npz is no readable")
    assert "; external.others.tokens: " in said
