"""Token files: lossless, self-describing, strict; training batches depend on the step number alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.data.order import batch_indices
from titok.data.tokens import TrainingTokens, load_tokens, save_tokens
from titok.errors import TokenError
from titok.runtime.files import FileError, save_npz
from titok.runtime.seed import generator

VIEWS = ("centre", "centre mirrored", "upper left")


def tokens_of(count: int = 10, views: int = 3, length: int = 4) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2**16, (count, views, length))


def save(path, tokens=None, labels=None, views=VIEWS):
    tokens = tokens_of() if tokens is None else tokens
    labels = np.arange(len(tokens)) % 5 if labels is None else labels
    save_tokens(path, tokens, labels, fingerprint="abc", views=views, source={"tokenizer": "l2", "seed": 0})
    return path


@pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor])
def test_round_trip(tmp_path, convert):
    token_set = load_tokens(save(tmp_path / "t.npz", convert(tokens_of()), convert(np.arange(10))))
    np.testing.assert_array_equal(token_set.tokens, tokens_of())
    assert token_set.tokens.dtype == np.uint16
    assert token_set.labels.tolist() == list(range(10))
    assert (token_set.fingerprint, token_set.views) == ("abc", VIEWS)
    assert token_set.source == {"tokenizer": "l2", "seed": 0}
    assert (len(token_set), token_set.num_tokens) == (10, 4)


def test_equal_tokens_give_equal_files(tmp_path):
    assert save(tmp_path / "a.npz").read_bytes() == save(tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.full((2, 3, 4), 2**16), "tokens go from 65536 to 65536; allowed: 0 to 65535"),
        (np.full((2, 3, 4), -1), "tokens go from -1"),
        (np.zeros((2, 3, 4)), "tokens are float64; integers are needed"),
        (np.zeros((2, 4), int), r"uint16 \(2, 4\); uint16 \(N, views, K\)"),
        (np.zeros((2, 1, 4), int), "3 views are named, but the tokens have 1"),
    ],
)
def test_bad_tokens_are_refused(tmp_path, tokens, message):
    with pytest.raises(TokenError, match=message):
        save(tmp_path / "t.npz", tokens)
    assert list(tmp_path.iterdir()) == []


def test_labels_must_fit(tmp_path):
    with pytest.raises(TokenError, match=r"labels have shape \(9,\); 10 images need \(10,\)"):
        save(tmp_path / "t.npz", labels=np.zeros(9, int))


def test_other_files_are_refused(tmp_path):
    save_npz(tmp_path / "other.npz", tokens=np.zeros(3))
    with pytest.raises(TokenError, match="has no array about, labels"):
        load_tokens(tmp_path / "other.npz")
    with pytest.raises(FileError, match="does not exist"):
        load_tokens(tmp_path / "none.npz")
    path = save(tmp_path / "cut.npz")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(FileError, match="cut short or altered"):
        load_tokens(path)


def test_batches_are_views_of_the_chosen_images(tmp_path):
    token_set = load_tokens(save(tmp_path / "t.npz"))
    batch = TrainingTokens(token_set, batch_size=64, seed=2).batch(9)
    views = torch.randint(0, 3, (64,), generator=generator(2, "view", 9))
    assert set(views.tolist()) == {0, 1, 2}
    indices = batch_indices(9, 64, 10, 2)
    np.testing.assert_array_equal(batch.tokens, token_set.tokens[indices, views.numpy()])
    np.testing.assert_array_equal(batch.labels, token_set.labels[indices])
    assert (batch.tokens.dtype, batch.labels.dtype) == (torch.int64, torch.int64)
    assert batch.tokens.max() > 2**15  # No sign is lost on the way.


def test_processes_share_the_global_batch(tmp_path):
    token_set = load_tokens(save(tmp_path / "t.npz"))
    whole = TrainingTokens(token_set, 8, seed=0).batch(4)
    shares = [TrainingTokens(token_set, 8, seed=0, rank=rank, world_size=2).batch(4) for rank in range(2)]
    assert torch.equal(torch.cat([share.tokens for share in shares]), whole.tokens)
    assert torch.equal(torch.cat([share.labels for share in shares]), whole.labels)
