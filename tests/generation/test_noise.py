"""Counter-based noise: the published test vectors, independence of the batch, and the right distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from titok.generation.noise import CounterNoise, DeviceNoise, NoiseKind, gumbel, philox4x32

# Known-answer vectors of the Random123 library (file kat_vectors, philox4x32 with 10 rounds): counter, key, result.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


def scalar_philox(counter: list[int], key: list[int]) -> list[int]:
    """The generator once more, in Python's unbounded integers."""
    for _ in range(10):
        a, b = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [b >> 32 ^ counter[1] ^ key[0], b & 0xFFFFFFFF, a >> 32 ^ counter[3] ^ key[1], a & 0xFFFFFFFF]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_known_answers(counter: str, key: str, result: str) -> None:
    found = philox4x32(tuple(torch.tensor([word]) for word in words(counter)), tuple(words(key)))
    assert [word.item() for word in found] == words(result)
    assert scalar_philox(words(counter), words(key)) == words(result)


def test_random_counters_agree_with_unbounded_integers() -> None:
    counters = np.random.default_rng(0).integers(0, 2**32, (200, 4))
    found = torch.stack(philox4x32(tuple(torch.from_numpy(counters).unbind(1)), (123456789, 4000000000)), dim=1)
    expected = [scalar_philox(list(map(int, row)), [123456789, 4000000000]) for row in counters]
    assert found.tolist() == expected


def test_uniform_is_keyed_by_seed_sample_step_kind_and_element() -> None:
    """One value, worked out by hand from the documented layout of key and counter."""
    seed, sample, step, element = (7 << 32) + 5, (3 << 32) + 2, 6, 9
    noise = CounterNoise(seed).uniform(torch.tensor([sample]), step, NoiseKind.CONFIDENCE, (5, 2))
    word = scalar_philox([element // 4, 2 * step + 1, 2, 3], [5, 7])[element % 4]
    assert noise.flatten()[element].item() == (word >> 8) / 2**24


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (5, 7)])
def test_same_numbers_in_any_batch_and_order(shape: tuple[int, ...]) -> None:
    noise = CounterNoise(11)
    indices = torch.tensor([4, 0, 70_000, 2**40])
    whole = noise.uniform(indices, 3, NoiseKind.TOKEN, shape)
    assert whole.shape == (4, *shape)
    assert whole.dtype == torch.float32
    for row, index in enumerate(indices):
        assert torch.equal(noise.uniform(index[None], 3, NoiseKind.TOKEN, shape)[0], whole[row])
    assert torch.equal(noise.uniform(indices.flip(0), 3, NoiseKind.TOKEN, shape), whole.flip(0))


def test_streams_differ() -> None:
    def draw(seed: int, sample: int, step: int, kind: NoiseKind) -> tuple[float, ...]:
        return tuple(CounterNoise(seed).uniform(torch.tensor([sample]), step, kind, (8,))[0].tolist())

    streams = {
        draw(seed, sample, step, kind)
        for seed in (0, 1, 1 << 32)
        for sample in (0, 1, 1 << 32)
        for step in (0, 1, 2)
        for kind in NoiseKind
    }
    assert len(streams) == 3 * 3 * 3 * 2


def test_uniform_distribution() -> None:
    u = CounterNoise(5).uniform(torch.arange(50), 0, NoiseKind.TOKEN, (16, 250)).double().flatten()
    count = u.numel()
    assert u.min() >= 0
    assert u.max() < 1
    # Five standard errors of the mean (variance 1/12) and of the counts in 64 cells.
    assert abs(u.mean().item() - 0.5) < 5 * (1 / 12 / count) ** 0.5
    cells = torch.histc(u, bins=64, min=0, max=1)
    assert (cells - count / 64).abs().max() < 5 * (count / 64) ** 0.5
    neighbours = torch.corrcoef(torch.stack([u[:-1], u[1:]]))[0, 1]
    assert neighbours.abs() < 5 / count**0.5


def test_negative_step_is_refused() -> None:
    with pytest.raises(ValueError, match="step is -1; allowed: 0 to"):
        CounterNoise(0).uniform(torch.tensor([0]), -1, NoiseKind.TOKEN, (1,))


def test_gumbel() -> None:
    """The formula inside, finite values at both ends (1 - 2**-24 is the largest float32 draw)."""
    u = torch.tensor([0.0, 0.1, 0.5, 0.9, 1 - 2**-24])
    found = gumbel(u)
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(found[1:4].double(), -np.log(-np.log([0.1, 0.5, 0.9])), rtol=1e-5)
    # Mean of a Gumbel variable: Euler's constant.
    mean = gumbel(CounterNoise(1).uniform(torch.arange(20), 0, NoiseKind.TOKEN, (5000,))).mean().item()
    assert mean == pytest.approx(np.euler_gamma, abs=5 * (np.pi**2 / 6 / 100_000) ** 0.5)


def test_noise_for_timing_is_one_draw_of_torchs_generator() -> None:
    noise = DeviceNoise(3, torch.device("cpu"))
    found = noise.uniform(torch.arange(5), 0, NoiseKind.TOKEN, (4, 7))
    assert torch.equal(found, torch.rand(5, 4, 7, generator=torch.Generator().manual_seed(3)))
    assert not torch.equal(noise.uniform(torch.arange(5), 0, NoiseKind.TOKEN, (4, 7)), found)
