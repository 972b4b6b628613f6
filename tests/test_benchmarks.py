"""The benchmarks measure what they say: operations are counted right, both ways of a pair give the same result, and
the command writes its figures."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks import inference
from benchmarks.comparisons import compare, comparisons, guidance, two_pass_logits
from benchmarks.limits import Limits, Operations, best, candidates, operations
from benchmarks.measure import Case, measure
from benchmarks.models import TINY, VARIANTS, single_stage
from benchmarks.timing import alternating, timings
from titok.generation.guidance import guided_logits
from titok.models.generator import build_generator

CPU = torch.device("cpu")
ONE = Limits(1.0, 1.0)
ROOT = Path(__file__).parents[1]


def test_a_linear_layer_costs_two_operations_per_weight_and_row() -> None:
    layer = nn.Linear(256, 512)
    row = measure(Case("linear", "rows", 64, lambda: lambda: layer(torch.ones(64, 256))), CPU, {"fp32": ONE}, 3, 0.0)

    assert row.gflop == pytest.approx(2 * 64 * 256 * 512 / 1e9)
    assert row.fastest <= row.seconds <= row.slowest
    assert row.per_second == pytest.approx(64 / row.seconds)
    assert row.limit_fraction == pytest.approx(row.gflop / 1e3 / row.seconds)


def test_an_encoder_costs_what_the_paper_size_implies() -> None:
    """S at K = 128: 385 tokens through 8 blocks of width 512, and 256 patches of 768 values."""
    row = measure(
        Case("encode", "images", 1, lambda: inference.encode(VARIANTS["s-128"], CPU, 1)), CPU, {"fp32": ONE}, 1, 0.0
    )
    length, width = 1 + 256 + 128, 512
    block = 2 * length * 12 * width**2 + 4 * length**2 * width
    assert row.gflop == pytest.approx((8 * block + 2 * 256 * 768 * width) / 1e9, rel=0.02)


def test_the_limit_is_that_of_what_is_computed() -> None:
    """Half of the operations are convolutions, at twice the rate of products."""
    layer, convolution = nn.Linear(128, 144, bias=False), nn.Conv2d(16, 16, 3, padding=1, bias=False)
    rows, image = torch.ones(64, 128), torch.ones(1, 16, 16, 32)
    found = operations(lambda: (layer(rows), convolution(image)))
    assert found == Operations(products=2 * 64 * 128 * 144, convolutions=2 * 16 * 16 * 9 * 16 * 32)
    assert found.products == found.convolutions
    assert found.seconds(Limits(1.0, 2.0)) == pytest.approx(1.5 * found.products / 1e12)


def test_the_fastest_library_is_the_limit_and_what_cannot_run_says_why() -> None:
    found = candidates(CPU, "fp32", quick=True)
    for kind, limit in zip(("product", "convolution"), best(found), strict=True):
        rates = [one.tflops for one in found if one.kind == kind and one.tflops is not None]
        assert len(rates) > 1
        assert limit == max(rates) > 0
    assert all(one.why_not for one in found if one.tflops is None)


def test_as_many_calls_are_timed_as_asked() -> None:
    calls: list[int] = []
    assert len(timings(lambda: calls.append(1), 5, 0.0)) == 5
    first, second = alternating(lambda: calls.append(2), lambda: calls.append(3), 4)
    assert len(first) == len(second) == 4
    assert calls.count(2) == calls.count(3)


def test_two_passes_give_the_logits_of_one_batch() -> None:
    generator = build_generator(TINY.generator).eval()
    tokens, labels = torch.randint(64, (3, 8)), torch.tensor([0, 4, 9])
    with torch.no_grad():
        together = guided_logits(generator, tokens, labels, 2.5)
        torch.testing.assert_close(two_pass_logits(generator, tokens, labels, 2.5), together, rtol=1e-5, atol=1e-5)


def test_the_guidance_pair_really_differs_in_the_number_of_passes() -> None:
    batches: list[int] = []
    generator = build_generator(TINY.generator).eval()
    generator.register_forward_hook(lambda module, inputs, output: batches.append(len(output)))
    labels = torch.arange(2)
    pair = guidance(
        lambda: inference.decode_tokens(
            generator,
            labels,
            TINY.sampler.model_copy(update={"num_steps": 2, "guidance_schedule": "constant"}),
            inference.CounterNoise(0),
            labels,
        )
    )
    pair.faster()
    assert batches == [4, 4]
    batches.clear()
    pair.slower()
    assert batches == [2, 2, 2, 2]


def test_every_comparison_runs_and_names_its_ratio() -> None:
    found = [compare(pair, 1) for pair in comparisons("tiny", TINY, CPU, 2, 2, 2)]
    assert len(found) == 6
    for each in found:
        assert each["speedup"] == pytest.approx(each["slower_seconds"] / each["faster_seconds"], rel=0.2)


def test_published_single_stage_recipes_are_buildable() -> None:
    assert single_stage(VARIANTS["s-128"], "vq").reanchor_codes
    assert single_stage(VARIANTS["s-128"], "vae").kind == "vae"


@pytest.mark.long
def test_the_command_writes_its_figures(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--device", "cpu", "--only", "stage1", "--output", output]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    report = json.loads(output.read_text())
    rows = {row["name"]: row for row in report["rows"]}
    online, stored = rows["train tiny stage1, codes online"], rows["train tiny stage1, codes stored"]
    assert stored["gflop"] < online["gflop"]
    assert [pair["name"] for pair in report["comparisons"]] == ["stage1 step tiny: codes stored, against online"]
    assert set(report["matmul_tflops"]) == {"fp32", "bf16"}
    assert {row["kind"] for row in report["limits"]} == {"product", "convolution"}
    assert report["provenance"]["packages"]["torch"]
    assert "train tiny stage1, codes stored" in finished.stdout
