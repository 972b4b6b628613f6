"""Vector quantizer and Gaussian posterior against the released code's numbers (tests/golden/quantizer).

Run: pytest tests/models/test_quantizer.py
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from golden.rule import Golden, load_golden

from titok.models.quantizer import GaussianPosterior, VectorQuantizer


@pytest.fixture(scope="module")
def golden() -> Golden:
    return load_golden("quantizer")


def rows(array: np.ndarray) -> torch.Tensor:
    """The released layout (B, E, h, w) as (B, h * w, E)."""
    return torch.from_numpy(array).flatten(2).transpose(1, 2)


def with_codebook(codebook: np.ndarray, **settings: object) -> VectorQuantizer:
    quantizer = VectorQuantizer(*codebook.shape, **settings)
    quantizer.embedding.weight.data.copy_(torch.from_numpy(codebook))
    return quantizer


def close(actual: torch.Tensor, expected: np.ndarray | torch.Tensor, rtol: float = 0.0) -> None:
    torch.testing.assert_close(actual.detach(), torch.as_tensor(expected), atol=1e-6, rtol=rtol)


CASES = {
    "l2": {"use_l2_norm": True},
    "nol2": {"use_l2_norm": False},
    "l2_cost0": {"use_l2_norm": True, "commitment_weight": 0.0},
}


@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_the_released_ones(golden: Golden, case: str) -> None:
    inputs, outputs = golden.inputs, golden.outputs
    quantizer = with_codebook(inputs[f"{case}/codebook"], **CASES[case])
    z = rows(inputs[f"{case}/z"]).requires_grad_()
    result = quantizer(z)
    np.testing.assert_array_equal(result.indices, outputs[f"{case}/indices"][:, 0])
    close(result.z_quantized, rows(outputs[f"{case}/z_quantized"]))
    close(torch.stack([result.loss, result.commitment_loss, result.codebook_loss]), outputs[f"{case}/losses"])
    close(quantizer.lookup(torch.arange(quantizer.codebook_size)), outputs[f"{case}/codebook_entry_all"])

    straight = (result.z_quantized * rows(inputs[f"{case}/w"])).sum()
    parameters = [z, quantizer.embedding.weight]
    grad_z, grad_codebook = torch.autograd.grad(result.loss, parameters, retain_graph=True)
    close(grad_z, rows(outputs[f"{case}/grad_z_of_quantizer_loss"]))
    close(grad_codebook, outputs[f"{case}/grad_codebook_of_quantizer_loss"])
    grad_z, grad_codebook = torch.autograd.grad(straight, parameters, retain_graph=True, allow_unused=True)
    close(grad_z, rows(outputs[f"{case}/grad_z_of_sum_zq_w"]))
    assert grad_codebook is None or not grad_codebook.any()
    close(torch.autograd.grad(result.loss + straight, z)[0], rows(outputs[f"{case}/grad_z_total"]))


def test_vqgan_quantizer_is_the_same_but_for_the_weighted_term(golden: Golden) -> None:
    """The released VQGAN quantizer puts the 0.25 on the codebook term; ours is on the commitment term.

    So have the VQ-VAE paper and TiTok. The frozen VQGAN of the published recipes uses neither.
    """
    quantizer = with_codebook(golden.inputs["pixelvq/codebook"])
    z = rows(golden.inputs["pixelvq/z"]).requires_grad_()
    result = quantizer(z)
    np.testing.assert_array_equal(result.indices, golden.outputs["pixelvq/indices"])
    close(result.z_quantized, rows(golden.outputs["pixelvq/z_q"]))
    close(result.loss, golden.outputs["pixelvq/loss"][0])
    (result.commitment_loss / 0.25 + 0.25 * result.codebook_loss).backward()
    close(z.grad, rows(golden.outputs["pixelvq/grad_z"]))
    close(quantizer.embedding.weight.grad, golden.outputs["pixelvq/grad_codebook"])


def test_reanchoring_follows_the_released_steps(golden: Golden) -> None:
    quantizer = with_codebook(golden.inputs["clustering/codebook"], reanchor=True).train()
    for step, z in enumerate(golden.inputs["clustering/z_steps"]):
        result, expected = quantizer(rows(z)), f"clustering/step{step}"
        np.testing.assert_array_equal(result.indices, golden.outputs[f"{expected}/indices"][:, 0])
        losses = torch.stack([result.loss, result.commitment_loss, result.codebook_loss])
        close(losses, golden.outputs[f"{expected}/losses"])
        close(quantizer.embedding.weight, golden.outputs[f"{expected}/codebook_after"])
        close(quantizer.embed_prob, golden.outputs[f"{expected}/embed_prob_after"])


def test_reanchoring_is_a_matter_of_training() -> None:
    quantizer = VectorQuantizer(8, 4, reanchor=True).eval()
    before = quantizer.embedding.weight.detach().clone()
    quantizer(torch.randn(2, 3, 4))
    assert torch.equal(quantizer.embedding.weight, before)
    quantizer.train()(torch.randn(2, 3, 4)).loss.backward()
    assert not torch.equal(quantizer.embedding.weight, before)


TWO_PROCESSES = """
import sys, torch, torch.distributed as dist
from titok.models.quantizer import VectorQuantizer

def trained(z):
    torch.manual_seed(0)
    quantizer = VectorQuantizer(16, 4, reanchor=True).train()
    for _ in range(3):
        quantizer(z)
    return quantizer.embedding.weight.detach()

rank = int(sys.argv[1])
z = torch.randn(6, 3, 4, generator=torch.Generator().manual_seed(0))
alone = trained(z)
dist.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
together = trained(z.chunk(2)[rank])
dist.destroy_process_group()
sys.exit(not torch.equal(alone, together))
"""


def test_reanchoring_reads_no_number_back_from_its_device() -> None:
    """The meta device has no numbers: whatever would make a GPU wait for the host fails there."""
    quantizer = VectorQuantizer(8, 4, reanchor=True).to("meta")
    features, indices = torch.empty(6, 4, device="meta"), torch.empty(6, dtype=torch.int64, device="meta")
    quantizer._reanchor(features, indices, torch.empty(6, 8, device="meta"))


def test_reanchoring_in_two_processes_equals_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWO_PROCESSES]
    workers = [subprocess.Popen([*command, str(rank), str(tmp_path / "rendezvous")]) for rank in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]


def test_posterior_is_the_released_one(golden: Golden) -> None:
    posterior = GaussianPosterior(rows(golden.inputs["vae/parameters"]))
    for name in ("mean", "logvar", "std"):
        close(getattr(posterior, name), rows(golden.outputs[f"vae/{name}"]), rtol=1e-5)
    close(posterior.kl(), golden.outputs["vae/kl"], rtol=1e-5)
    small = GaussianPosterior(rows(golden.inputs["vae/parameters_small"]))
    noise = torch.randn(2, 6, 1, 5, generator=torch.Generator().manual_seed(3))
    close(small.sample(rows(noise.numpy())), rows(golden.outputs["vae/sample_torch_seed3"]), rtol=1e-5)
    close(small.kl(), golden.outputs["vae/kl_small"])
    close(small.kl().sum() / 2, golden.outputs["vae/kl_loss_small"][0], rtol=1e-5)


def test_first_of_equal_codes_wins() -> None:
    codebook = np.array([[9.0, 9.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    indices = with_codebook(codebook)(torch.ones(1, 2, 2)).indices
    assert indices.tolist() == [[1, 1]]


@pytest.mark.parametrize("use_l2_norm", [True, False])
def test_nearest_code_by_exhaustion(use_l2_norm: bool) -> None:
    random = np.random.default_rng(0)
    z, codebook = random.normal(size=(3, 5, 6)), random.normal(size=(17, 6))
    quantizer = with_codebook(codebook.astype(np.float32), use_l2_norm=use_l2_norm)
    if use_l2_norm:
        z_hat, codes = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (z, codebook))
    else:
        z_hat, codes = z, codebook
    expected = np.linalg.norm(z_hat[:, :, None] - codes, axis=-1).argmin(-1)
    np.testing.assert_array_equal(quantizer(torch.from_numpy(z).float()).indices, expected)


def test_float32_under_autocast() -> None:
    quantizer = VectorQuantizer(64, 8, use_l2_norm=True)
    z = torch.randn(4, 6, 8)
    expected = quantizer(z)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = quantizer(z)
    assert result.z_quantized.dtype == result.loss.dtype == torch.float32
    assert torch.equal(result.indices, expected.indices)


@pytest.mark.parametrize(("batch", "codebook_size"), [(64, 16), (3, 16)])
def test_codebook_drawn_from_data(batch: int, codebook_size: int) -> None:
    z = torch.randn(batch, 2, 4, generator=torch.Generator().manual_seed(0)) * 1e-3 + 5
    quantizer = VectorQuantizer(codebook_size, 4)
    quantizer.init_from(z, torch.Generator().manual_seed(1))
    codes = quantizer.embedding.weight.detach()
    assert len(torch.unique(codes, dim=0)) == codebook_size
    nearest = torch.cdist(codes, z.flatten(0, 1)).amin(dim=1)
    assert nearest.max() < 1e-4  # a tenth of the spread of the latents
    exact = min(codebook_size, batch * 2)
    assert int((nearest == 0).sum()) >= exact
    again = VectorQuantizer(codebook_size, 4)
    again.init_from(z, torch.Generator().manual_seed(1))
    assert torch.equal(again.embedding.weight, codes)
