"""Windows of numbers, codebook use, and when a run is stopped."""

from __future__ import annotations

import math
import time

import pytest
import torch

from titok.training.health import CollapseWarning, CollapseWatch, NonFiniteError, SickRunError, Window

CPU = torch.device("cpu")


def test_means_are_over_the_steps_in_which_a_term_occurred() -> None:
    window = Window(None, CPU)
    window.add(0, "model", {"loss": torch.tensor(1.0)}, torch.tensor(3.0))
    window.add(1, "model", {"loss": torch.tensor(2.0)}, torch.tensor(5.0))
    window.add(1, "discriminator", {"loss": torch.tensor(0.5)}, torch.tensor(1.0))
    summary = window.close()
    assert {key: summary[key] for key in ("loss", "grad_norm", "discriminator_loss", "discriminator_grad_norm")} == {
        "loss": 1.5,
        "grad_norm": 4.0,
        "discriminator_loss": 0.5,
        "discriminator_grad_norm": 1.0,
    }
    assert "loss" not in window.close()


def test_codebook_use_counts_all_steps_of_the_window() -> None:
    window = Window(8, CPU)
    for codes in ([0, 1], [1, 2]):
        terms = {"loss": torch.tensor(0.0), "indices": torch.tensor([codes])}
        window.add(0, "model", terms, torch.tensor(0.0))
    summary = window.close()
    assert summary["codes_used"] == 3
    assert summary["codebook_usage"] == 3 / 8
    assert summary["codebook_perplexity"] == pytest.approx(math.exp(0.5 * math.log(4) + 0.5 * math.log(2)))
    assert window.close()["codes_used"] == 0


def test_the_first_bad_step_is_named_with_its_terms() -> None:
    window = Window(None, CPU)
    for step, loss in enumerate([1.0, float("nan"), float("inf")]):
        window.add(step, "model", {"loss": torch.tensor(loss), "pixel": torch.tensor(7.0)}, torch.tensor(1.0))
    with pytest.raises(NonFiniteError, match=r"step 1 .*loss nan, pixel 7") as caught:
        window.collect()
    assert caught.value.step == 1


def test_only_losses_and_gradient_norms_are_judged() -> None:
    window = Window(None, CPU)
    window.add(0, "model", {"loss": torch.tensor(1.0), "psnr": torch.tensor(float("inf"))}, torch.tensor(1.0))
    window.collect()
    window.add(1, "model", {"loss": torch.tensor(1.0)}, torch.tensor(float("inf")))
    with pytest.raises(NonFiniteError, match="grad_norm inf"):
        window.collect()


def test_throughput_counts_images_and_time() -> None:
    window = Window(None, CPU)
    window.add(0, "model", {"loss": torch.tensor(1.0)}, torch.tensor(1.0))
    window.count(10)
    time.sleep(0.05)
    assert 10 < window.close()["images_per_second"] < 10 / 0.05


def test_a_cut_window_ends_with_the_same_numbers() -> None:
    whole, before, after = (Window(4, CPU) for _ in range(3))
    rows = [({"loss": torch.tensor(float(i) / 3), "indices": torch.tensor([i])}, torch.tensor(i / 7)) for i in range(4)]
    for i, (terms, norm) in enumerate(rows):
        whole.add(i, "model", terms, norm)
        if i < 2:
            before.add(i, "model", terms, norm)
    after.load_state_dict(before.state_dict())
    for i in (2, 3):
        after.add(i, "model", *rows[i])
    expected, found = whole.close(), after.close()
    del expected["images_per_second"], found["images_per_second"]
    assert found == expected


def watch_steps(watch: CollapseWatch, used: list[int], every: int, codebook_size: int = 64) -> None:
    for i, codes in enumerate(used, start=1):
        watch.look(i * every, {"codes_used": float(codes)}, codebook_size)


def test_a_collapse_that_lasts_stops_the_run() -> None:
    watch = CollapseWatch(total_steps=400, warmup_steps=50)
    with pytest.warns(CollapseWarning, match="one code of 64"), pytest.raises(SickRunError, match="codebook_init"):
        watch_steps(watch, [1] * 8, every=25)
    assert watch.since == 75, "the warm-up does not count"


def test_a_collapse_that_heals_is_forgiven() -> None:
    watch = CollapseWatch(total_steps=400, warmup_steps=0)
    with pytest.warns(CollapseWarning):
        watch_steps(watch, [1, 1, 1, 2, 1, 1, 1, 1], every=25)


@pytest.mark.parametrize(("steps", "patience"), [(12, 25), (400, 100), (1_000_000, 2000)])
def test_patience_fits_the_length_of_the_run(steps: int, patience: int) -> None:
    assert CollapseWatch(steps, 0).patience == patience


def test_a_codebook_of_one_cannot_collapse() -> None:
    watch_steps(CollapseWatch(100, 0), [1] * 50, every=10, codebook_size=1)
