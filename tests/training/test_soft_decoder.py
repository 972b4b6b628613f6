"""Decoders on frozen tokens: what learns, what noise the decoder sees, and which weights are taken.

Run: pytest tests/training/test_soft_decoder.py
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from metrics.encoder_weights import made_up
from safetensors.torch import load_file, save_file
from torch import Tensor
from training.tiny import SIZE, images, pixel_losses, soft_decoder_task, training

from titok.commands.frozen_encoders import with_frozen_encoder
from titok.config.encoder_record import EncoderRecord
from titok.config.soft_tokens import FrozenEncoder, SoftModel
from titok.config.weight_files import WeightFile
from titok.data.images import ImageSet, TrainingImages
from titok.data.tokened_images import TokenedImages
from titok.errors import OptionError
from titok.models.soft_tokenizer import SoftTokenizer
from titok.runtime.files import FileError, sha256_file
from titok.runtime.seed import generator
from titok.runtime.weights import WeightsError
from titok.training.pixel_task import NoisyBatch
from titok.training.soft_decoder import SoftDecoderTask

CNN = EncoderRecord(
    model="test_efficientnet",
    kind="CNN",
    image_size=64,
    stride=32,
    width=256,
    pooling="mean",
    licence="CC-BY-NC-4.0",
    commercial=False,
)
"""A network with running statistics; its weights are made by the test and read from a file."""


def model_of(record: EncoderRecord, tokens: int) -> SoftModel:
    encoder = FrozenEncoder(timm=record, image_size=16)
    return SoftModel(encoder=encoder, num_latent_tokens=tokens, patch_size=4, decoder=SIZE)


def weights_of_cnn(folder: Path) -> Path:
    """Without the classifier, as networks are known that have none."""
    file = made_up(folder / "cnn.safetensors", CNN.model)
    save_file({key: value for key, value in load_file(file).items() if not key.startswith("classifier")}, file)
    return file


def opened(folder: Path, tokens: int = 4) -> SoftTokenizer:
    file = weights_of_cnn(folder)
    model, _ = with_frozen_encoder(model_of(CNN, tokens), weight(file), None)
    return model


def weight(file: Path, sha256: str | None = None) -> WeightFile:
    return WeightFile(path=str(file), sha256=sha256)


def test_only_the_decoder_moves(tmp_path: Path) -> None:
    """Neither weights of the encoder nor the statistics of its batch norms, which training mode would move."""
    torch.manual_seed(0)
    task = SoftDecoderTask(opened(tmp_path), pixel_losses(0.0), training())
    before = copy.deepcopy(task.model.state_dict())
    assert any(name.endswith("running_mean") for name in before)
    task.train()
    for step in (1, 2, 3):
        for name, terms, _ in task.updates(images().batch(step), step, generator(0, "step", step)):
            task.players[name].update(terms["loss"], step)
    moved = {name for name, value in task.model.state_dict().items() if not torch.equal(value, before[name])}
    assert {name.split(".")[0] for name in moved} == {"decoder"}
    assert {"decoder.decoder_embed.weight", "decoder.head.0.weight", "decoder.conv_out.weight"} <= moved
    assert all(parameter.grad is None for parameter in task.model.encoder.parameters())
    assert {name.split(".")[0] for name in task.players["model"].parameters} == {"decoder"}


def test_the_model_folder_holds_the_encoder_and_checkpoints_do_not(tmp_path: Path) -> None:
    torch.manual_seed(0)
    task = SoftDecoderTask(opened(tmp_path), pixel_losses(0.0), training())
    state, config = task.export()
    again = SoftTokenizer(SoftModel.model_validate(config["model"]))
    again.load_state_dict(state)
    seen = torch.rand(2, 3, 16, 16)
    torch.testing.assert_close(again.eval().encode(seen), task.model.eval().encode(seen))
    assert not [name for name in task.training_state()["players"]["model"]["parameters"] if "encoder" in name]


@pytest.mark.parametrize("tokens", [4, 2, 1])
def test_tokens_are_averages_of_the_encoders(tmp_path: Path, tokens: int) -> None:
    model = opened(tmp_path, tokens).eval()
    seen = torch.rand(2, 3, 16, 16)
    found = model.read(seen, ("width", "bottleneck"))
    assert found["width"].shape == (2, 4, 256)
    assert found["bottleneck"].shape == (2, tokens, 256)
    assert model.facts[:3] == (16, tokens, None)
    rows = found["width"].view(2, tokens, 4 // tokens, 256).mean(dim=2)
    torch.testing.assert_close(found["bottleneck"], torch.nn.functional.layer_norm(rows, (256,)), atol=1e-5, rtol=1e-4)


def test_each_image_has_noise_of_its_own_strength() -> None:
    """Deviations are 0.5 |N(0, 1)|: of 4,096 images, a mean of 0.5 sqrt(2 / pi), to five standard errors."""
    task = soft_decoder_task(training())
    batch = images().batch(0)._replace(images=torch.zeros(4096, 3, 1, 1), labels=torch.zeros(4096).long())
    drawn = task.with_draws(batch, 0, generator(0, "step", 0))
    assert isinstance(drawn, NoisyBatch)
    assert task.with_draws(drawn, 0, generator(0, "step", 1)) is drawn
    deviations = drawn.noise.flatten(1).std(dim=1)
    expected = 0.5 * (2 / torch.pi) ** 0.5
    assert abs(float(deviations.mean()) - expected) < 5 * float(deviations.std()) / 4096**0.5
    assert float(deviations.std()) > 0.2, "one strength for all would have 0.05"
    task.latent_noise = 0.0
    assert task.with_draws(batch, 0, generator(0, "step", 0)) is batch


def test_weights_are_the_stated_ones_or_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = weights_of_cnn(tmp_path)
    settings = model_of(CNN, 4)
    model, inputs = with_frozen_encoder(settings, weight(file, sha256_file(file)), None)
    assert inputs == {"encoder": file}
    assert "test_efficientnet: CC-BY-NC-4.0 (not for business)" in capsys.readouterr().err
    other: dict[str, Tensor] = SoftTokenizer(settings).encoder.state_dict()
    name = "network.conv_head.weight"
    assert not torch.equal(model.encoder.state_dict()[name], other[name]), "nothing random is left"
    with pytest.raises(WeightsError, match="SHA-256"):
        with_frozen_encoder(settings, weight(file, "0" * 64), None)
    with pytest.raises(FileError, match="absent"):
        with_frozen_encoder(settings, weight(tmp_path / "absent.safetensors"), None)
    with pytest.raises(FileError, match="'no_such_package' is not installed"):
        with_frozen_encoder(settings, WeightFile(path="package:no_such_package/weights.pth"), None)
    with pytest.raises(OptionError, match=r"add weights\.path"):
        with_frozen_encoder(settings, None, None)


def test_tokens_that_never_change_are_computed_once() -> None:
    """The same images in the same order, and the same losses, as when every batch is encoded."""
    torch.manual_seed(0)
    task = soft_decoder_task(training()).eval()
    numbers = torch.randint(0, 256, (21, 3, 18, 18), generator=generator(0, "pixels"), dtype=torch.uint8)
    keys = np.array([f"{index:02d}" for index in range(21)])
    kept = ImageSet(numbers, torch.arange(21) % 3, keys, "made up")
    before = TokenedImages(kept, 16, task.model.encode, 8, seed=5)
    every = TrainingImages(kept, 16, 8, seed=5, random_crop=False, random_flip=False)
    for step in (0, 7):
        one, other = before.batch(step), every.batch(step)
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        losses = [next(iter(task.updates(batch, 3, generator(0, "step", 3)))).terms["loss"] for batch in (one, other)]
        torch.testing.assert_close(losses[0], losses[1], atol=1e-6, rtol=1e-5)
        halves = [TokenedImages(kept, 16, task.model.encode, 8, seed=5, rank=rank, world_size=2) for rank in (0, 1)]
        torch.testing.assert_close(torch.cat([half.batch(step).tokens for half in halves]), one.tokens)
