"""`titok.load` and `titok.save`: every layout, key for key; pinned sums; errors that list what is wrong.

Models are toys in the released layout with weights by rule. Run: pytest tests/models/test_hub.py
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from models.toy_releases import (  # noqa: F401 - a fixture
    CONFIGS,
    TOY_VQGAN,
    released_state,
    tokenizer_config,
    toy_sizes,
    write_release,
)
from safetensors.torch import load_file, save_file

import titok
from titok.config.model import ClassifierModel, TokenizerModel, TransformerSize
from titok.models import hub
from titok.models.classifier import Classifier
from titok.models.folder import load_tokenizer
from titok.models.generator import MaskGITUViT, MaskGITViT
from titok.models.published import PublishedFormatError
from titok.models.released import to_released
from titok.models.tokenizer import TiTok
from titok.models.vqgan import VQGAN
from titok.runtime.download import DownloadError
from titok.runtime.files import FileError
from titok.runtime.weights import WeightsError, save_model

pytestmark = pytest.mark.usefixtures("toy_sizes")
CLASSES = {
    "two_stage": TiTok, "single_stage": TiTok, "vae": TiTok, "vit": MaskGITViT, "uvit": MaskGITUViT, "vqgan": VQGAN,
}  # fmt: skip
SMALL = TransformerSize(width=8, depth=1, num_heads=2)


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_release_comes_back_key_for_key(tmp_path: Path, name: str, weights: str) -> None:
    state = write_release(tmp_path / "in", name, weights)
    model = titok.load(tmp_path / "in")
    assert type(model) is CLASSES[name]
    assert not model.training
    assert not any(parameter.requires_grad or parameter.is_meta for parameter in model.parameters())
    assert_same(to_released(model), state)

    titok.save(model, tmp_path / "out", weights=weights)
    written = tmp_path / "out" / weights
    assert_same(load_file(written) if weights.endswith("tensors") else torch.load(written, weights_only=True), state)
    again = titok.load(tmp_path / "out")
    assert again.config == model.config
    assert_same(again.state_dict(), model.state_dict())


@pytest.mark.parametrize("name", ["two_stage", "single_stage", "vit"])
def test_the_config_that_is_written_says_what_the_released_one_said(tmp_path: Path, name: str) -> None:
    write_release(tmp_path / "in", name)
    titok.save(titok.load(tmp_path / "in"), tmp_path / "out")
    written = json.loads((tmp_path / "out/config.json").read_text())
    for section, settings in CONFIGS[name][1]["model"].items():
        known = written["model"].get(section, {})
        assert {key: known[key] for key in settings if key in known} == {
            key: value for key, value in settings.items() if key in known
        }
    needed = {"vit": {"hidden_size", "num_hidden_layers", "attn_drop", "model_type", "condition_num_classes"}}
    section = "generator" if name == "vit" else "vq_model"
    assert written["model"][section].keys() >= needed.get(name, set(CONFIGS[name][1]["model"]["vq_model"]))


@pytest.mark.parametrize("name", CONFIGS)
def test_our_own_layout_comes_back(tmp_path: Path, name: str) -> None:
    write_release(tmp_path / "in", name)
    model = titok.load(tmp_path / "in")
    titok.save(model, tmp_path / "own", layout="own")
    again = titok.load(tmp_path / "own")
    assert again.config == model.config
    assert_same(again.state_dict(), model.state_dict())
    assert_same(load_file(tmp_path / "own/model.safetensors"), model.state_dict())


def test_classifiers_open_too(tmp_path: Path) -> None:
    settings = ClassifierModel(channels=(4,), feature_dim=4)
    classifier = Classifier(settings)
    save_model(tmp_path, classifier.state_dict(), {"kind": "classifier", "model": settings.resolved()})
    assert_same(titok.load(tmp_path).state_dict(), classifier.state_dict())


def test_a_bare_file_with_a_released_yaml(tmp_path: Path) -> None:
    """One YAML describes both models, as the released ones do; the weights say which is meant."""
    both = tokenizer_config(**CONFIGS["two_stage"][1]["model"]["vq_model"])
    both["model"]["vq_model"]["codebook_size"] = 64
    both["model"]["generator"] = CONFIGS["vit"][1]["model"]["generator"]
    both["experiment"] = {"tokenizer_checkpoint": "tokenizer_toy.bin", "generator_checkpoint": "generator_toy.bin"}
    state = released_state("two_stage")
    state["quantize.embedding.weight"] = torch.randn(64, 6)
    torch.save(state, tmp_path / "tokenizer_toy.bin")
    torch.save(released_state("vit"), tmp_path / "generator_toy.bin")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/toy.yaml").write_text(yaml.safe_dump(both))

    named = titok.load(tmp_path / "tokenizer_toy.bin", config=tmp_path / "elsewhere/toy.yaml")
    assert_same(to_released(named), state)
    with pytest.raises(PublishedFormatError, match=r"holds a tokenizer.*config=\.\.\."):
        titok.load(tmp_path / "tokenizer_toy.bin")
    shutil.copy(tmp_path / "elsewhere/toy.yaml", tmp_path / "toy.yaml")
    (tmp_path / "._toy.yaml").write_bytes(b"\0\5\x16\7 of macOS")
    assert_same(titok.load(tmp_path / "tokenizer_toy.bin").state_dict(), named.state_dict())
    assert isinstance(titok.load(tmp_path / "generator_toy.bin"), MaskGITViT)


def test_the_vqgan_needs_no_config(tmp_path: Path) -> None:
    torch.save(released_state("vqgan"), tmp_path / "maskgit.bin")
    assert isinstance(titok.load(tmp_path / "maskgit.bin"), VQGAN)


def test_every_wrong_key_is_listed_under_its_released_name(tmp_path: Path) -> None:
    for name, lost in (("two_stage", "encoder.ln_pre.weight"), ("vit", "model.embeddings.LayerNorm.bias")):
        state = write_release(tmp_path, name)
        kept, bent = state.pop(lost), sorted(state)[3]
        state |= {"strange": kept, bent: torch.zeros(7)}
        save_file(state, tmp_path / "model.safetensors")
        with pytest.raises(WeightsError) as caught:
            titok.load(tmp_path)
        assert f"1 missing: {lost}; 1 unexpected: strange; 1 of another shape: {bent} (7,) instead" in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("layout", ["released", "own"])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, value: float, layout: str) -> None:
    write_release(tmp_path, "single_stage")
    if layout == "own":
        titok.save(titok.load(tmp_path), tmp_path, layout="own")
    state = load_file(tmp_path / "model.safetensors")
    state["latent_tokens"][1, 2] = value
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="1 with NaN or infinity: latent_tokens"):
        titok.load(tmp_path)


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    state = {key: tensor.half() for key, tensor in write_release(tmp_path, "vit").items()}
    save_file(state, tmp_path / "model.safetensors")
    assert {parameter.dtype for parameter in titok.load(tmp_path).parameters()} == {torch.float32}


def test_one_folder_with_weights_twice(tmp_path: Path) -> None:
    """The file that is named is the one that is read, and no save is hidden by older weights."""
    old = write_release(tmp_path, "vit", "pytorch_model.bin")
    model = titok.load(tmp_path)
    with torch.no_grad():
        model.position_embedding.zero_()
    titok.save(model, tmp_path)
    assert_same(to_released(titok.load(tmp_path / "pytorch_model.bin")), old)
    assert not titok.load(tmp_path).position_embedding.any()
    with pytest.raises(FileError, match=r"holds model\.safetensors, which would be read instead"):
        titok.save(model, tmp_path, weights="pytorch_model.bin")


def test_a_yaml_may_stand_for_config_json(tmp_path: Path) -> None:
    state = write_release(tmp_path, "uvit")
    (tmp_path / "config.json").unlink()
    settings = CONFIGS["uvit"][1] | {"experiment": {"generator_checkpoint": "model.safetensors"}}
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(settings))
    assert_same(to_released(titok.load(tmp_path)), state)


def test_a_config_of_another_model_is_noticed(tmp_path: Path) -> None:
    write_release(tmp_path / "in", "vit")
    titok.save(titok.load(tmp_path / "in"), tmp_path / "out")
    config = json.loads((tmp_path / "out/config.json").read_text())
    config["model"]["generator"]["num_attention_heads"] = 2
    (tmp_path / "out/config.json").write_text(json.dumps(config))
    with pytest.raises(WeightsError, match=r"config\.json is not the one that model\.safetensors was saved with"):
        titok.load(tmp_path / "out")


def test_files_of_something_else(tmp_path: Path) -> None:
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match="no released tokenizer"):
        titok.load(tmp_path)
    with pytest.raises(FileError, match=r"'nothing/at/all' is no file.*tokenizer_titok_l32"):
        titok.load("nothing/at/all")
    write_release(tmp_path, "vae")
    (tmp_path / "config.json").write_text('{"model": {}}')
    with pytest.raises(PublishedFormatError, match=r"no key 'vq_model'"):
        titok.load(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(PublishedFormatError, match="holds list"):
        titok.load(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"model\.safetensors does not exist"):
        titok.load(tmp_path / "empty")


# --- pinned sums and the Hub -----------------------------------------------------------------------------------------


def write_sources(path: Path, sha256: str | None) -> Path:
    toy = {"kind": "generator", "repository": "somebody/toy_imagenet", "sha256": sha256, "licence": "Apache-2.0"}
    path.write_text(yaml.safe_dump({"models": {"toy": toy}}))
    return path


@pytest.fixture
def fake_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the Hub: <root>/<owner>/<name>/<file>."""
    root = tmp_path / "hub"

    def download(repository: str, file: str, directory: Path | None = None) -> Path | None:
        if not (root / repository).is_dir():
            raise DownloadError(f"{file} of {repository} cannot be downloaded")
        found = root / repository / file
        return found if found.is_file() else None

    monkeypatch.setattr(hub, "download", download)
    return root


def test_the_sum_is_checked_before_the_file_is_opened(tmp_path: Path) -> None:
    write_release(tmp_path, "vit")
    good = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    assert isinstance(titok.load(tmp_path, sha256=good.upper()), MaskGITViT)
    (tmp_path / "model.safetensors").write_bytes(b"no safetensors at all")
    with pytest.raises(WeightsError, match=f"but {good} is pinned"):
        titok.load(tmp_path, sha256=good)


@pytest.mark.parametrize("folder", ["toy", "toy_imagenet"])
def test_a_local_copy_of_a_listed_release_must_have_its_sum(tmp_path: Path, folder: str) -> None:
    sources = write_sources(tmp_path / "sources.yaml", "0" * 64)
    write_release(tmp_path / folder, "vit")
    with pytest.raises(WeightsError, match="is pinned"):
        titok.load(tmp_path / folder, sources=sources)
    assert titok.load(tmp_path / folder, sources=write_sources(tmp_path / "sources.yaml", None))
    write_release(tmp_path / "other", "vit")
    assert titok.load(tmp_path / "other", sources=write_sources(tmp_path / "sources.yaml", "0" * 64))


@pytest.mark.parametrize("source", ["toy", "somebody/toy_imagenet"])
def test_listed_names_and_repositories(tmp_path: Path, fake_hub: Path, source: str) -> None:
    state = write_release(fake_hub / "somebody/toy_imagenet", "vit")
    good = hashlib.sha256((fake_hub / "somebody/toy_imagenet/model.safetensors").read_bytes()).hexdigest()
    assert_same(to_released(titok.load(source, sources=write_sources(tmp_path / "s.yaml", good))), state)
    with pytest.raises(WeightsError, match="is pinned"):
        titok.load(source, sources=write_sources(tmp_path / "s.yaml", "f" * 64))
    (fake_hub / "somebody/toy_imagenet/model.safetensors").unlink()
    with pytest.raises(DownloadError, match=r"has no model\.safetensors; correct `file`"):
        titok.load(source, sources=write_sources(tmp_path / "s.yaml", good))


def test_any_repository(fake_hub: Path) -> None:
    write_release(fake_hub / "me/mine", "uvit", "pytorch_model.bin")
    assert isinstance(titok.load("me/mine"), MaskGITUViT)
    (fake_hub / "me/mine/pytorch_model.bin").unlink()
    with pytest.raises(DownloadError, match="neither"):
        titok.load("me/mine")
    with pytest.raises(DownloadError, match="cannot be downloaded") as caught:
        titok.load("nobody/nothing")
    assert caught.value.__notes__ == ["There is no file or folder nobody/nothing here either"]


# --- what the released layout cannot express --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (TokenizerModel(image_size=32, num_latent_tokens=2, vqgan=TOY_VQGAN), "latent_layout is 'per_token'"),
        (TokenizerModel(head="pixels", image_size=32, num_latent_tokens=2, encoder=SMALL), "has no published name"),
        (
            TokenizerModel(
                image_size=32,
                num_latent_tokens=2,
                latent_layout="interleaved",
                vqgan=TOY_VQGAN.model_copy(update={"code_dim": 4}),
            ),
            "MaskGIT-VQGAN's sizes",
        ),
    ],
)
def test_other_models_are_refused_and_kept_in_our_own_layout(
    tmp_path: Path, settings: TokenizerModel, reason: str
) -> None:
    sizes = {part: SMALL if getattr(settings, part) == SMALL else TransformerSize(width=16, depth=1, num_heads=2)
             for part in ("encoder", "decoder")}  # fmt: skip
    model = TiTok(settings.model_copy(update=sizes))
    with pytest.raises(PublishedFormatError, match=rf"{reason}.*layout='own'"):
        titok.save(model, tmp_path)
    assert not list(tmp_path.iterdir())
    titok.save(model, tmp_path, layout="own")
    assert_same(titok.load(tmp_path).state_dict(), model.state_dict())
    assert_same(load_tokenizer(tmp_path / "model.safetensors").state_dict(), model.state_dict())


def test_stage_1_has_no_pixel_decoder_there(tmp_path: Path) -> None:
    write_release(tmp_path / "two", "two_stage")
    torch.save(released_state("vqgan"), tmp_path / "maskgit.bin")
    vqgan = titok.load(tmp_path / "maskgit.bin")
    model = titok.load(tmp_path / "two")
    model.pixel_lookup = "argmax"
    model.adopt_pixel_decoder(vqgan)
    titok.save(model, tmp_path / "one")
    assert not [key for key in load_file(tmp_path / "one/model.safetensors") if key.startswith("pixel_")]
    assert json.loads((tmp_path / "one/config.json").read_text())["model"]["vq_model"]["finetune_decoder"] is False
    with pytest.raises(WeightsError, match="stage-1 tokenizer"):
        titok.load(tmp_path / "one")
    again = titok.load(tmp_path / "one", vqgan=vqgan)
    assert again.pixel_lookup == "argmax"
    assert_same(again.state_dict(), model.state_dict())


def test_what_only_training_reads_is_left_out(tmp_path: Path) -> None:
    write_release(tmp_path / "in", "single_stage")
    settings = titok.load(tmp_path / "in").config.model_copy(update={"reanchor_codes": True})
    model = TiTok(settings)
    titok.save(model, tmp_path / "out")
    assert "quantize.embed_prob" not in load_file(tmp_path / "out/model.safetensors")
    assert titok.load(tmp_path / "out").config.reanchor_codes is False


def test_the_package_itself_stays_light() -> None:
    code = "import sys, titok; dir(titok); assert 'torch' not in sys.modules; titok.load; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        titok.paint  # noqa: B018
