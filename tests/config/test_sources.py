"""The list of released weights: complete, typed, and fillable without losing a comment.

Run: pytest tests/config/test_sources.py
"""

from __future__ import annotations

from pathlib import Path

import pytest

from titok.config.load import ConfigError
from titok.config.sources import SOURCES_FILE, load_sources, record_sha256


def test_the_published_models_are_all_there() -> None:
    models = load_sources().models
    kinds = [source.kind for source in models.values()]
    assert (kinds.count("tokenizer"), kinds.count("generator"), kinds.count("vqgan")) == (9, 3, 1)
    for name, source in models.items():
        if source.kind != "vqgan":
            assert source.repository == f"yucornetto/{name}_imagenet"
            assert name.startswith(f"{source.kind}_titok_")
            assert source.has_config
    assert not models["maskgit_vqgan"].has_config


def test_files_state_the_sums_in_their_names() -> None:
    files = load_sources().files
    assert files.keys() == {"convnext_small", "vgg16", "lpips_heads", "inception"}
    for file in files.values():
        assert file.sha256_prefix is None or file.sha256_prefix in file.url


def test_a_sum_is_recorded_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    before = SOURCES_FILE.read_text()
    sha256 = "0123456789" * 6 + "1234"
    file.write_text(record_sha256("generator_titok_b64", sha256))
    assert SOURCES_FILE.read_text() == before
    changed = [
        (old, new) for old, new in zip(before.splitlines(), file.read_text().splitlines(), strict=True) if old != new
    ]
    assert changed == [("    sha256: null", f'    sha256: "{sha256}"')]
    recorded = load_sources(file).models
    assert recorded.pop("generator_titok_b64").sha256 == sha256
    assert all(recorded[name] == source for name, source in load_sources().models.items() if name in recorded)


def test_an_entry_without_a_line_to_fill(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("models:\n  a:\n    kind: vqgan\n    repository: x/y\n    licence: MIT\n")
    with pytest.raises(ConfigError, match=r"models\.a has no line"):
        record_sha256("a", "0" * 64, file)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("sha256: ABC", r"models\.a\.sha256: found 'ABC'"),
        ("repository: not a repository", r"models\.a\.repository"),
        ("kind: painter", r"models\.a\.kind"),
        ("licence:", r"models\.a\.licence"),
        ("mirror: x", r"models\.a\.mirror: unknown key"),
    ],
)
def test_mistakes_are_told_by_key(tmp_path: Path, line: str, message: str) -> None:
    entry = {"kind": "kind: vqgan", "repository": "repository: x/y", "licence": "licence: MIT"}
    entry[line.partition(":")[0]] = line
    file = tmp_path / "sources.yaml"
    file.write_text("models:\n  a:\n" + "".join(f"    {text}\n" for text in entry.values()))
    with pytest.raises(ConfigError, match=message):
        load_sources(file)


def test_local_copies_are_recognised_by_their_names() -> None:
    sources = load_sources()
    l32 = sources.models["tokenizer_titok_l32"]
    for folder in ("tokenizer_titok_l32", "tokenizer_titok_l32_imagenet"):
        assert sources.of_file(Path("x") / folder / "model.safetensors") == l32
        assert sources.of_file(Path("x") / folder / "pytorch_model.bin") is None
    assert sources.of_file(Path("mine/model.safetensors")) is None
    assert sources.of_file(Path("any/maskgit-vqgan-imagenet-f16-256.bin")) == sources.models["maskgit_vqgan"]
    assert sources.of_repository("yucornetto/tokenizer_titok_l32_imagenet") == l32
    assert sources.of_repository("me/mine") is None
