"""A TiTok whose encoder begins as a vision transformer of timm: what is taken, what is new, what is refused.

Run: pytest tests/commands/test_beginnings.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from metrics.encoder_weights import made_up
from safetensors.torch import load_file, save_file
from training.tiny import SIZE, pixel_losses, training

from titok.commands.beginnings import begin
from titok.config.encoder_init import EncoderInit
from titok.config.encoder_record import EncoderRecord
from titok.config.model import TokenizerModel, TransformerSize
from titok.config.weight_files import WeightFile
from titok.models.tokenizer import TiTok
from titok.runtime.weights import WeightsError
from titok.training.single_stage import SingleStageTask

RECORD = EncoderRecord(
    model="test_vit",
    kind="ViT",
    image_size=160,
    stride=16,
    width=64,
    pooling="class",
    licence="none",
    commercial=False,
)
TOWER = TransformerSize(width=64, depth=6, num_heads=2, mlp_ratio=3.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = made_up(tmp_path / "vit.safetensors")
    save_file({name: value for name, value in load_file(path).items() if not name.startswith("head.")}, path)
    return path


def task(**changed: Any) -> SingleStageTask:
    settings = {"image_size": 160, "patch_size": 16, "encoder": TOWER, "decoder": SIZE, "num_latent_tokens": 4}
    torch.manual_seed(0)
    model = TiTok(TokenizerModel(**settings | changed, codebook_size=16, code_dim=4, head="pixels", vqgan=None))
    return SingleStageTask(model, pixel_losses(1.0), training())


def chosen(file: Path, *leave_out: str, sha256: str | None = None) -> EncoderInit:
    return EncoderInit(encoder=RECORD, weights=WeightFile(path=str(file), sha256=sha256), leave_out=leave_out)


def test_patches_positions_and_blocks_are_taken(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made, untouched, stored = task(), task(), load_file(file)
    assert begin(made, training(), chosen(file)) == {"encoder_init": file}
    after, before = made.model.state_dict(), untouched.model.state_dict()
    torch.testing.assert_close(after["encoder.blocks.3.mlp.fc1.weight"], stored["blocks.3.mlp.fc1.weight"])
    torch.testing.assert_close(after["encoder.positional_embedding"], stored["pos_embed"][0])
    torch.testing.assert_close(after["encoder.norm_post.bias"], stored["norm.bias"])
    kept = {name for name in after if torch.equal(after[name], before[name])}
    assert {name for name in kept if name.startswith("encoder.")} == {
        "encoder.latent_token_positional_embedding",
        "encoder.norm_pre.weight",
        "encoder.norm_pre.bias",
        "encoder.to_latent.weight",
        "encoder.to_latent.bias",
    }
    assert kept >= {name for name in after if not name.startswith("encoder.")}
    assert made.start is not None
    counted = sum(value.numel() for name, value in after.items() if name.startswith("encoder.") and name not in kept)
    assert made.start["taken"] == {"encoder": counted}
    assert set(made.start["new"]) == {"encoder", "decoder", "latent_tokens", "quantize"}
    said = capsys.readouterr().err
    assert "weights of test_vit: none (not for business)" in said
    assert f"{counted:,} in encoder; anew: " in said


def test_what_does_not_fit_is_refused_unless_left_out(file: Path) -> None:
    other = task(image_size=64)
    with pytest.raises(
        WeightsError, match=r"encoder\.positional_embedding \(101 x 64 there, 17 x 64 here\)"
    ) as refused:
        begin(other, training(), chosen(file))
    assert "name the parts that shall begin anew in encoder_init.leave_out" in str(refused.value)
    begin(other, training(), chosen(file, "encoder.positional_embedding"))
    assert other.start is not None
    assert other.start["new"]["encoder"] > 17 * 64
    with pytest.raises(WeightsError, match=r"encoder_init\.leave_out names encoder\.nothing"):
        begin(task(), training(), chosen(file, "encoder.nothing"))
    with pytest.raises(WeightsError, match=r"encoder\.blocks\.0\..* there"):
        begin(task(encoder=TOWER.model_copy(update={"mlp_ratio": 2.0})), training(), chosen(file))
    with pytest.raises(WeightsError, match=r"blocks\.5"):
        begin(task(encoder=TOWER.model_copy(update={"depth": 5})), training(), chosen(file))
    with pytest.raises(WeightsError, match="SHA-256"):
        begin(task(), training(), chosen(file, sha256="0" * 64))
