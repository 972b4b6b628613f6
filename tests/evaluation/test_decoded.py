"""Images of another program's decoder are of the ids that were sampled for it, and say so.

Run: pytest tests/evaluation/test_decoded.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from titok.errors import ScoreError
from titok.evaluation.decoded import require_made_of
from titok.runtime.files import save_npz

IDS = np.arange(12).reshape(4, 3)
LABELS = np.array([0, 1, 0, 1])
IMAGES = np.zeros((4, 2, 2, 3), np.uint8)


@pytest.fixture
def ids(tmp_path: Path) -> Path:
    save_npz(tmp_path / "ids.npz", ids=IDS.astype(np.uint16), labels=LABELS)
    return tmp_path / "ids.npz"


def test_the_same_ids_and_classes(ids: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "made.npz", arr_0=IMAGES, ids=IDS.astype(np.int32), labels=LABELS)
    require_made_of(tmp_path / "made.npz", ids)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ({"labels": LABELS}, "has no array 'ids'"),
        ({"ids": IDS}, "has no array 'labels'"),
        ({"ids": IDS[:3], "labels": LABELS[:3]}, r"has ids of shape \(3, 3\), .* of \(4, 3\); decode all"),
        ({"ids": IDS[[0, 2, 1, 3]], "labels": LABELS}, "ids of 2 of 4 images, first 1, are not those of"),
        ({"ids": IDS, "labels": 1 - LABELS}, "labels of 4 of 4 images, first 0"),
    ],
)
def test_others_are_refused(made: dict[str, np.ndarray], said: str, ids: Path, tmp_path: Path) -> None:
    save_npz(tmp_path / "made.npz", arr_0=IMAGES, **made)
    with pytest.raises(ScoreError, match=said):
        require_made_of(tmp_path / "made.npz", ids)
