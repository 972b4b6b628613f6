"""Transformer blocks against timm's and PyTorch's own. Run: pytest tests/models/test_transformer.py"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from titok.models.transformer import Attention, Block, Mlp, PostNormBlock

WIDTH, HEADS = 48, 3


@pytest.fixture
def tokens() -> torch.Tensor:
    return torch.randn(2, 7, WIDTH, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("qkv_bias", [True, False])
def test_block_equals_timm(tokens: torch.Tensor, qkv_bias: bool) -> None:
    vision_transformer = pytest.importorskip("timm.models.vision_transformer")
    torch.manual_seed(0)
    reference = vision_transformer.Block(WIDTH, HEADS, mlp_ratio=2.0, qkv_bias=qkv_bias, norm_layer=nn.LayerNorm)
    for parameter in reference.parameters():
        nn.init.normal_(parameter, std=0.3)
    block = Block(WIDTH, HEADS, mlp_ratio=2.0, qkv_bias=qkv_bias)
    block.load_state_dict(reference.state_dict())
    torch.testing.assert_close(block(tokens), reference(tokens), atol=1e-5, rtol=1e-5)


def torch_layer(block: PostNormBlock) -> nn.TransformerEncoderLayer:
    """PyTorch's post-norm layer with the block's parameters."""
    layer = nn.TransformerEncoderLayer(
        WIDTH,
        HEADS,
        2 * WIDTH,
        dropout=0.0,
        activation="gelu",
        batch_first=True,
        norm_first=False,
        layer_norm_eps=1e-12,
    )
    names = {
        "attn.qkv.": "self_attn.in_proj_",
        "attn.proj.": "self_attn.out_proj.",
        "mlp.fc1.": "linear1.",
        "mlp.fc2.": "linear2.",
    }
    state = {}
    for key, value in block.state_dict().items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs)
        state[key] = value
    layer.load_state_dict(state)
    return layer


def test_post_norm_block_equals_torch(tokens: torch.Tensor) -> None:
    torch.manual_seed(0)
    block = PostNormBlock(WIDTH, HEADS, mlp_ratio=2.0, dropout=0.5)
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.3)
    # Training mode keeps PyTorch's layer off its fused path; its dropout is zero, and ours is off in eval mode.
    expected = torch_layer(block).train()(tokens)
    torch.testing.assert_close(block.eval()(tokens), expected, atol=1e-5, rtol=1e-5)


def test_post_norm_eps_is_berts() -> None:
    block = PostNormBlock(WIDTH, HEADS)
    assert block.norm1.eps == block.norm2.eps == 1e-12
    assert Block(WIDTH, HEADS).norm1.eps == 1e-5


def test_dropout_acts_in_training_only(tokens: torch.Tensor) -> None:
    torch.manual_seed(0)
    attention = Attention(WIDTH, HEADS, dropout=0.5)
    assert not torch.equal(attention(tokens), attention(tokens))
    attention.eval()
    torch.testing.assert_close(attention(tokens), attention(tokens), rtol=0, atol=0)
    block = PostNormBlock(WIDTH, HEADS, dropout=0.5)
    block.attn.dropout = 0.0
    assert not torch.equal(block(tokens), block(tokens))


def test_attention_sees_all_tokens_and_no_order(tokens: torch.Tensor) -> None:
    attention = Attention(WIDTH, HEADS).eval()
    order = torch.randperm(tokens.shape[1], generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(attention(tokens[:, order]), attention(tokens)[:, order], atol=1e-5, rtol=1e-5)
    changed = tokens.clone()
    changed[:, -1] += 1
    assert ((attention(changed) - attention(tokens)).abs().amax(dim=(0, 2)) > 0).all()


def test_gelu_is_exact() -> None:
    mlp = Mlp(1, 1)
    for parameter, value in zip(mlp.parameters(), (1.0, 0.0, 1.0, 0.0), strict=True):
        nn.init.constant_(parameter, value)
    x = torch.linspace(-4, 4, 33, dtype=torch.float64)[:, None]
    expected = 0.5 * x * (1 + torch.erf(x / 2**0.5))
    torch.testing.assert_close(mlp.double()(x), expected, atol=1e-12, rtol=0)


def test_heads_must_divide_width() -> None:
    with pytest.raises(ValueError, match="num_heads is 5, which does not divide width 48"):
        Attention(48, 5)
