"""An example for every verb whose own file has none, as its help and docs/commands.md show it. Loads no torch.

They run in the project's folder once `make demo` has been there; a test parses each of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

VERBS = tuple[str, ...]

EXAMPLES: dict[VERBS, str] = {
    ("check",): "titok check config/digits.yaml",
    ("resolve",): "titok resolve config/digits.yaml stage1 l2",
    ("plan",): "titok plan --config config/imagenet256.yaml table3b --gpus 8",
    ("schema",): "titok schema > workflow/schemas/study.schema.json",
    ("tokens",): r"""
titok tokens --config results/digits/configs/tokens/all.yaml --data results/digits/data/train.index.npz \
    --tokenizer results/digits/tokenizers/l2/seed0/stage1/model.safetensors --output tokens.npz""",
    ("external-tokens",): r"""
titok external-tokens --config results/mine/configs/external_tokens/theirs.yaml \
    --data results/mine/data/train.index.npz --ids theirs.npz --output theirs-tokens.npz""",
    ("train",): r"""
titok train stage1 --config results/digits/configs/stage1/l2.yaml --data results/digits/data/train.index.npz \
    --vqgan results/digits/vqgan/model.safetensors --seed 0 --state state/l2 --output l2/model.safetensors
titok train generator --config results/digits/configs/generator/l2-vit.yaml --tokens tokens.npz --seed 0 \
    --execution '{"training": {"checkpoint_seconds": 60}}' --state state/l2-vit --output l2-vit/model.safetensors""",
    ("adopt",): r"""
titok resolve config/published.yaml released_tokenizer l-32 --output l-32.yaml
titok adopt tokenizer --config l-32.yaml --output l-32/model.safetensors""",
    ("sample",): r"""
titok sample --config results/digits/configs/sample/four-steps.yaml --seed 0 --output samples.npz \
    --generator results/digits/generators/l2-vit/seed0/model.safetensors \
    --tokenizer results/digits/tokenizers/l2/seed0/stage1/model.safetensors
titok sample --config results/mine/configs/sample/eight.yaml --seed 0 --output ids.npz \
    --generator results/mine/generators/theirs-vit/seed0/model.safetensors""",
    ("score", "reconstruction"): r"""
titok score reconstruction --config results/digits/configs/score/reconstructions.yaml \
    --data results/digits/data/test.index.npz --judge results/digits/classifiers/judge/model.safetensors \
    --model results/digits/tokenizers/l2/seed0/stage1/model.safetensors \
    --subject '{"tokenizer": "l2", "stage": "stage1", "seed": 0}' --output rfid.json""",
    ("score", "lengths"): r"""
titok score lengths --config results/cifar10/configs/lengths/all.yaml \
    --data results/cifar10/data/test.index.npz --judge results/cifar10/classifiers/judge/model.safetensors \
    --model results/cifar10/tokenizers/tail-32/seed0/stage1/model.safetensors \
    --subject '{"tokenizer": "tail-32", "stage": "stage1", "seed": 0}' --output lengths.json""",
    ("score", "probe"): r"""
titok score probe --config results/digits/configs/probe/all.yaml --train results/digits/data/train.index.npz \
    --test results/digits/data/test.index.npz --model results/digits/tokenizers/l2/seed0/stage1/model.safetensors \
    --subject '{"tokenizer": "l2", "stage": "stage1", "seed": 0}' --state state/probe --output probe.json""",
    ("score", "quantized"): r"""
titok score quantized --bits 4 --config results/mine/configs/quantized/all.yaml \
    --data results/mine/data/test.index.npz --train results/mine/data/train.index.npz \
    --judge results/mine/classifiers/judge/model.safetensors \
    --model results/mine/tokenizers/vae/seed0/single_stage/model.safetensors \
    --subject '{"tokenizer": "vae", "stage": "single_stage-4bit", "seed": 0}' --output vae-4bit.json""",
    ("score", "codec"): r"""
titok score codec --codec jpeg --quality 50 --config results/digits/configs/score/reconstructions.yaml \
    --data results/digits/data/test.index.npz --judge results/digits/classifiers/judge/model.safetensors \
    --output jpeg.json""",
    ("score", "external"): r"""
titok score external --config results/mine/configs/external/vae.yaml --data results/mine/data/test.index.npz \
    --reconstructions vae-reconstructions --output vae.json --per-image vae.csv""",
    ("score", "floor"): r"""
titok score floor --config results/mine/configs/floor/patches-64.yaml --data results/mine/data/test.index.npz \
    --train results/mine/data/train.index.npz --judge results/mine/classifiers/judge/model.safetensors \
    --subject '{"tokenizer": "patches-64", "stage": "floor", "seed": 0}' --output patches.json""",
    ("score", "generation"): r"""
titok score generation --config results/digits/configs/score/samples.yaml --samples samples.npz \
    --data results/digits/data/train.index.npz --judge results/digits/classifiers/judge/model.safetensors \
    --subject '{"generator": "l2-vit", "sampler": "four-steps", "seed": 0}' --output gfid.json
titok score generation --config results/mine/configs/score/samples.yaml --samples theirs/samples.npz --ids ids.npz \
    --data results/mine/data/train.index.npz --judge results/mine/classifiers/judge/model.safetensors \
    --subject '{"generator": "theirs-vit", "sampler": "eight", "seed": 0}' --output gfid.json""",
    ("score", "throughput"): r"""
titok score throughput --config results/digits/configs/throughput/four-steps.yaml \
    --generator results/digits/generators/l2-vit/seed0/model.safetensors \
    --tokenizer results/digits/tokenizers/l2/seed0/stage1/model.safetensors \
    --subject '{"generator": "l2-vit", "sampler": "four-steps", "seed": 0, "sitting": 0}' --output speed.json""",
    ("score", "costs"): r"""
titok score costs --config results/mine/configs/costs/all.yaml \
    --model results/mine/tokenizers/vae/seed0/single_stage/model.safetensors \
    --subject '{"tokenizer": "vae", "stage": "single_stage", "seed": 0}' --output costs.json""",
    ("table",): r"""
titok table table3b --study config/digits.yaml --output tables/table3b.md \
    --scores $(find results/digits/scores -name '*.json')""",
    ("figure",): r"""
titok figure figure4 --study config/digits.yaml --output figures/figure4.svg \
    --scores $(find results/digits/scores -name '*.json')""",
    ("checks",): r"""
titok checks --study config/digits.yaml --output checks.json --scores $(find results/digits/scores -name '*.json')""",
    ("report",): r"""
titok report --study config/digits.yaml --output report.html --scores $(find results/digits/scores -name '*.json') \
    --figures results/digits/figures/*.svg --tables results/digits/tables/*.csv \
    --checks results/digits/checks.json --claims results/digits/claims.json""",
    ("verdict",): r"""
titok verdict results/digits/checks.json
titok verdict --strict results/digits/checks.json        a trend that does not hold fails, too""",
    ("crate",): "titok crate --study config/digits.yaml --output digits.zip",
    ("facts",): "titok facts --output models.json",
    ("codes", "merge"): "titok codes merge codes.npy",
    ("codes", "verify"): r"""
titok codes verify codes.npy --data data/train.index.npz --vqgan vqgan/model.safetensors --samples 256""",
    ("tokenize",): r"""
titok tokenize photo.jpg folder --model tokenizer_titok_l32 --output tokens.npz
titok tokenize digit.png --model results/digits/tokenizers/l2/seed0/stage1 --output tokens.npz
titok tokenize bird.png --model results/cifar10/tokenizers/tail-32/seed0/stage1 --quality l1=0.1 --output t.npz""",
    ("detokenize",): "titok detokenize tokens.npz --model tokenizer_titok_l32 --output images",
    ("reconstruct",): "titok reconstruct photo.jpg --model tokenizer_titok_l32 --output reconstructions",
    ("tokbench",): r"""
titok tokbench TokBench/images --model tokenizer_titok_l32 --output image_reconstruction_results/titok-l-32""",
    ("generate",): r"""
titok generate --class 207 360 --per-class 4 --generator generator_titok_l32 --tokenizer tokenizer_titok_l32 \
    --sampler titok-l-32 --output images
printf 'num_steps: 4\n' > four-steps.yaml
titok generate --class 3 --generator results/digits/generators/l2-vit/seed0 \
    --tokenizer results/digits/tokenizers/l2/seed0/stage1 --sampler four-steps.yaml --output threes""",
    ("encoders",): "titok encoders efficientnet-lite0 --weights efficientnet-lite0-57934424.pth",
    ("fetch",): "titok fetch inception --output weights",
    ("doctor",): "titok doctor --device cpu",
}


class _Help(argparse.HelpFormatter):
    """Wraps descriptions, and leaves examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if not text.startswith("example"):
            return super()._fill_text(text, width, indent)
        return "".join(indent + line for line in text.splitlines(keepends=True))


def add_examples(parser: argparse.ArgumentParser) -> None:
    """Gives every verb of `EXAMPLES` its own, below its options."""
    for path, verb in verbs_of(parser):
        if path in EXAMPLES:
            lines = EXAMPLES[path].strip().splitlines()
            head = "example" if sum(line.startswith("titok ") for line in lines) == 1 else "examples"
            verb.epilog = "\n  ".join([f"{head}:", *lines])
            verb.formatter_class = _Help


def verbs_of(parser: argparse.ArgumentParser, path: VERBS = ()) -> Iterator[tuple[VERBS, argparse.ArgumentParser]]:
    """Every verb with its parser, verbs of verbs after theirs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, verb in action.choices.items():
                yield (*path, name), verb
                yield from verbs_of(verb, (*path, name))
