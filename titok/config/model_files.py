"""Where a study's models and the tokens between them lie: paths, in one place, without torch."""

from __future__ import annotations

from collections.abc import Iterator

from titok.config.rows import PROXY_TOKENIZER
from titok.config.study import Study
from titok.config.tokenizer_facts import generator_stage, tokenizer_facts


class ModelFiles:
    """Paths of everything that is trained or adopted."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.root = f"results/{study.study}"

    def tokenizer_model(self, name: str, stage: str, seed: int | str) -> str:
        """A tokenizer in one of its stages; the one VQGAN, if it is that, whatever the seed."""
        if name == PROXY_TOKENIZER:
            return f"{self.root}/vqgan/model.safetensors"
        return f"{self.root}/tokenizers/{name}/seed{seed}/{stage}/model.safetensors"

    def probed_stage(self, name: str) -> str:
        """Whose latents are probed: the first stage, whose encoder later ones keep; the last, if they do not."""
        return tokenizer_facts(self.study, name).stages[-1 if self.trains_encoder_twice(name) else 0]

    def trains_encoder_twice(self, name: str) -> bool:
        """Whether a tokenizer's stages have encoders of their own."""
        entry = self.study.tokenizers.get(name)
        return entry is not None and entry.own is not None and entry.own.trains_encoder_twice

    def probed_model(self, name: str, seed: int | str) -> str:
        """The tokenizer in that stage."""
        return self.tokenizer_model(name, self.probed_stage(name), seed)

    def tokenizer_behind(self, generator: str, seed: int | str) -> str:
        """The tokenizer whose tokens a generator learns and whose decoder shows them."""
        name = self.study.generators[generator].tokenizer
        return self.tokenizer_model(name, generator_stage(self.study, generator), seed)

    def tokens_behind(self, generator: str, seed: int | str) -> str:
        """The tokens that a generator learns."""
        name = self.study.generators[generator].tokenizer
        if name == PROXY_TOKENIZER:
            return f"{self.root}/tokens/vqgan.npz"
        return f"{self.root}/tokens/{name}/seed{seed}/{generator_stage(self.study, generator)}.npz"

    def trained_stages(self) -> Iterator[tuple[str, str]]:
        """(name, stage) of every stage of every tokenizer, baseline and frozen encoder, in order; the VQGAN is left
        out."""
        for name in (*self.study.tokenizers, *self.study.baselines, *self.study.soft_tokenizers):
            yield from ((name, stage) for stage in tokenizer_facts(self.study, name).stages)

    def stage_models(self, name: str, stage: str) -> list[str]:
        """A tokenizer's stage, one model per seed."""
        return [self.tokenizer_model(name, stage, seed) for seed in self.study.tokenizer_seeds(name)]

    def tokenizer_models(self) -> list[str]:
        """Every tokenizer and baseline, in its last stage."""
        last = dict(self.trained_stages())
        return [path for name, stage in last.items() for path in self.stage_models(name, stage)]

    def generator_models(self) -> list[str]:
        """Every generator."""
        return [
            f"{self.root}/generators/{name}/seed{seed}/model.safetensors"
            for name in self.study.generators
            for seed in self.study.generator_seeds(name)
        ]

    def support_models(self) -> list[str]:
        """The VQGAN and the classifiers."""
        vqgan = [f"{self.root}/vqgan/model.safetensors"] if self.study.vqgan else []
        return [*vqgan, *(f"{self.root}/classifiers/{name}/model.safetensors" for name in self.study.classifiers)]

    def manifests(self) -> list[str]:
        """Manifests of every model: how it was trained, or where it was released."""
        stages = [path for name, stage in self.trained_stages() for path in self.stage_models(name, stage)]
        models = [*self.support_models(), *stages, *self.generator_models()]
        return [path.replace("model.safetensors", "manifest.json") for path in models]

    def vqgan_is_released(self) -> bool:
        """Whether the study uses a released VQGAN instead of training one."""
        return self.study.vqgan is not None and self.study.vqgan.source is not None

    def generators_by_origin(self, *, released: bool) -> list[str]:
        """Names of the generators that are released or that the study trains; rules differ by it."""
        return [name for name, entry in self.study.generators.items() if (entry.source is not None) == released]
