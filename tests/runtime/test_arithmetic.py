"""What portable arithmetic sets, refuses and says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from titok.errors import MachineError
from titok.models.linear import Linear
from titok.runtime import arithmetic
from titok.runtime.arithmetic import PORTABLE, abilities, asked_for, current, mkl_is_slow, use


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment in which nobody chose anything, before any library was imported."""
    for name in (*PORTABLE, *arithmetic._CONTRARY):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(arithmetic, "_WITH_KERNELS", ())
    return monkeypatch


def test_native_touches_nothing(bare: pytest.MonkeyPatch) -> None:
    before = dict(os.environ)
    use("native")
    assert dict(os.environ) == before
    assert current() == "native"


def test_portable_sets_every_variable_without_a_word(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bare.setenv("OMP_NUM_THREADS", "8")  # common, and no wish for other numbers
    use("portable")
    assert {name: os.environ[name] for name in PORTABLE} == dict(PORTABLE)
    assert current() == "portable"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("name", arithmetic._CONTRARY)
def test_what_would_undo_it_is_taken_away_with_a_word(
    bare: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    bare.setenv(name, "7")
    use("portable")
    assert name not in os.environ
    assert f"{name} is '7', which arithmetic: portable takes away" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(PORTABLE))
def test_one_missing_variable_is_native(bare: pytest.MonkeyPatch, name: str) -> None:
    use("portable")
    bare.delenv(name)
    assert current() == "native"


def test_too_late_is_refused(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(arithmetic, "_WITH_KERNELS", ("numpy", "torch", "no_such_library"))
    with pytest.raises(MachineError, match="imported numpy and torch before"):
        use("portable")


@pytest.mark.parametrize(("flags", "words"), [({"fma", "sse2"}, "has no AVX2"), ({"sse2"}, "has no AVX2 and FMA")])
def test_old_processors_are_refused_with_what_to_do(bare: pytest.MonkeyPatch, flags: set[str], words: str) -> None:
    bare.setattr(arithmetic, "_instructions", lambda: frozenset(flags))
    with pytest.raises(MachineError, match=f"{words}; set `arithmetic: native` in the study"):
        use("portable")
    assert "native only" in abilities()


def test_other_processors_compute_natively_and_the_doctor_says_so(bare: pytest.MonkeyPatch) -> None:
    bare.setattr(arithmetic.platform, "machine", lambda: "aarch64")
    use("portable")
    assert current() == "native"
    assert "aarch64: native only; numbers may differ" in abilities()


@pytest.mark.parametrize(
    ("maker", "flags", "expected"),
    [
        ("AuthenticAMD", "avx2 avx512f", True),
        ("AuthenticAMD", "avx2", False),
        ("GenuineIntel", "avx2 avx512f", False),
        ("", "", False),  # not Linux
    ],
)
def test_where_mkl_leaves_instructions_unused(
    monkeypatch: pytest.MonkeyPatch, maker: str, flags: str, expected: bool
) -> None:
    monkeypatch.setattr(arithmetic, "_of_processor", {"vendor_id": maker, "flags": flags}.__getitem__)
    assert mkl_is_slow() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("arithmetic: portable", "portable"), ("arithmetic: native", "native"), ("seeds: [0]", "native"), ("{", "native")],
)
def test_the_settings_are_asked(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "study.yaml").write_text(text)
    assert asked_for([None, tmp_path / "study.yaml"]) == expected
    assert asked_for([tmp_path / "gone.yaml"]) == "native"
    assert asked_for([]) == "native"


def test_portable_products_are_those_of_float64() -> None:
    """Forward and backward, beside float64; the tolerance is the rounding of 40 products added one after the other."""
    torch.manual_seed(0)
    layer, rows = Linear(40, 24), torch.randn(5, 7, 40, requires_grad=True)
    out = layer(rows)
    out.square().sum().backward()
    wide, exact_rows = torch.nn.Linear(40, 24).double(), rows.detach().double().requires_grad_()
    wide.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
    exact = wide(exact_rows)
    exact.square().sum().backward()
    bound = 40 * torch.finfo(torch.float32).eps
    pairs = [(out, exact), (rows.grad, exact_rows.grad), (layer.weight.grad, wide.weight.grad)]
    for found, expected in [*pairs, (layer.bias.grad, wide.bias.grad)]:
        assert (found.double() - expected).abs().max() <= bound * expected.abs().max()


def test_the_suite_itself_is_portable_where_it_can_be() -> None:
    assert (current() == "portable") == abilities().startswith("portable")
