"""What tokenizers cost: operations beside those of their parts, and clocks and memory of this machine.

Run: pytest tests/evaluation/test_costs.py
"""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest
import torch
from models.test_image_tokenizer import FAMILIES
from training import tiny

from titok.config.throughput import Throughput
from titok.evaluation.costs import coding_operations, measure_coding
from titok.models.alit_flops import alit_parts
from titok.models.flops import detokenize_flops, tokenizer_parts, vqgan_parts

CPU = torch.device("cpu")
MIB = 2**20


@pytest.mark.parametrize("name", ["two_stage", "single_stage", "vae"])
def test_operations_are_those_of_the_parts(name: str) -> None:
    model = FAMILIES[name]()
    parts = {part: flops.forward for part, flops in tokenizer_parts(model.config).items()}
    found = coding_operations(model, 16)
    assert found.encode == parts["encoder"] + parts.get("quantizer", 0)
    assert found.decode == parts["decoder"] + parts.get("pixel_decoder", 0)


def test_operations_of_a_grid() -> None:
    model = FAMILIES["vqgan"]()
    parts = vqgan_parts(model.config, 16)
    found = coding_operations(model, 16)
    assert found.encode == parts["encoder"].forward + parts["quantizer"].forward
    assert found.decode == parts["decoder"].forward == detokenize_flops(model, 16)


def test_operations_of_the_longest_code() -> None:
    model = tiny.alit()
    parts = {part: flops.forward for part, flops in alit_parts(model.config).items()}
    found = coding_operations(model, model.config.image_size)
    assert found.encode == parts["base"] + parts["encoder"] + parts["quantizer"]
    assert found.decode == parts["decoder"] + parts["pixel_decoder"]


def test_operations_of_a_frozen_encoder_and_its_decoder() -> None:
    found = coding_operations(FAMILIES["soft"](), 16)
    assert min(found) > 0


@pytest.mark.parametrize(("name", "width"), [("single_stage", None), ("vae", 4)])
def test_every_batch_is_timed_on_its_own(name: str, width: int | None) -> None:
    torch.manual_seed(0)
    settings = Throughput(batch_size=3, warmup_batches=1, batches=4)
    with torch.no_grad():
        found = measure_coding(FAMILIES[name]().eval(), 16, settings, CPU)
    assert found.width == width
    for speed in (found.encode, found.decode):
        assert 0 < speed.interval.low <= speed.median <= speed.interval.high


def test_memory_is_what_work_adds_at_its_peak() -> None:
    """In a process of its own: blocks that other tests freed would be taken again."""
    code = """
import torch
from titok.runtime.peak_memory import peak_memory
print(peak_memory(lambda: torch.ones(48 * 2**20, dtype=torch.uint8), torch.device("cpu")))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    found = ast.literal_eval(said)
    if found is None:
        pytest.skip("this system counts no peak of resident pages")
    assert 47 * MIB < found[0] < 64 * MIB, "Linux counts pages in lots of 64 for each thread"
    assert "resident" in found[1]
