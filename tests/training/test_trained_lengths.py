"""What a training of several lengths exports is the model that it trained, at every length, also by official names.

Run: pytest tests/training/test_trained_lengths.py
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from training.test_tasks import run
from training.tiny import images

import titok
from titok.config.alit import AlitModel
from titok.models.alit import Alit
from titok.models.image_tokenizer import Ids
from titok.models.published_alit import from_official, to_official
from titok.models.tokenizer import TiTok
from titok.runtime.weights import load_model


@pytest.mark.parametrize("name", ["alit_stage1", "alit_stage2"])
def test_a_trained_alit_goes_through_the_official_names(name: str, tmp_path: Path) -> None:
    """In a file of the official layout stands what `to_official` gives; it knows bases of the official size alone."""
    run(name, tmp_path, steps=8)
    exported, config = load_model(tmp_path / "out")
    trained = titok.load(tmp_path / "out")
    assert isinstance(trained, Alit)
    again = Alit(AlitModel(**config["model"])).eval()
    again.load_state_dict(from_official(to_official(exported)))
    pictures = images().batch(0).images.float() / 255
    for length in trained.config.lengths:
        ids = trained.tokenize(pictures, length)
        assert torch.equal(again.tokenize(pictures, length).values, ids.values)
        assert torch.equal(again.detokenize(ids), trained.detokenize(ids))
    assert len(trained.tokenize(pictures).values.unique(dim=0)) > 1


@pytest.mark.parametrize("name", ["stage1_tail_drop", "stage2_tail_drop"])
def test_a_trained_tail_drop_is_saved_and_opened_at_every_length(name: str, tmp_path: Path) -> None:
    run(name, tmp_path, steps=8)
    trained = titok.load(tmp_path / "out")
    assert isinstance(trained, TiTok)
    titok.save(trained, tmp_path / "own", layout="own")
    again = titok.load(tmp_path / "own")
    assert isinstance(again, TiTok)
    pictures = images().batch(0).images.float() / 255
    tokens = trained.tokenize(pictures).values
    assert torch.equal(again.tokenize(pictures).values, tokens)
    for length in range(1, 5):
        shorter = Ids(tokens[:, :length])
        assert torch.equal(again.detokenize(shorter), trained.detokenize(shorter))
