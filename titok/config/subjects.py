"""By which names a study knows what is scored: what its records carry along, and tables look for."""

from __future__ import annotations

import json

from titok.config.floors import FLOOR
from titok.config.model_files import ModelFiles
from titok.config.quantization import quantized_stage
from titok.config.rows import PROXY_TOKENIZER
from titok.config.soft_tokens import encoder_facts
from titok.config.tokenizer_facts import generator_stage, tokenizer_facts

SHARED_ENCODER = "encoder"
"""In the place of a stage: an encoder that all stages of its tokenizer share."""


class Subjects(ModelFiles):
    """Names as JSON, for `--subject`; what a thing is (K, V, steps) its record takes from the thing itself."""

    def subject(
        self,
        *,
        seed: str | int,
        tokenizer: str | None = None,
        stage: str | None = None,
        generator: str | None = None,
        sampler: str | None = None,
        sitting: str | int | None = None,
    ) -> str:
        """What a score is about, as JSON: by which names the study knows it. What it is says the model itself."""
        facts: dict[str, object] = {"seed": int(seed)}
        if generator is not None and sampler is not None:
            entry = self.study.generators[generator]
            tokenizer, stage = entry.tokenizer, generator_stage(self.study, generator)
            facts |= {"generator": generator, "sampler": sampler}
            if entry.source is not None:
                facts["generator_recipe"] = "released"  # no seed of ours changes it
        if sitting is not None:
            facts["sitting"] = int(sitting)
        if tokenizer is not None:
            known = tokenizer_facts(self.study, tokenizer)
            facts |= {"tokenizer": tokenizer, "stage": stage, "recipe": known.recipe, "size": known.size}
            if tokenizer in self.study.soft_tokenizers:
                facts |= encoder_facts(self.study.soft_tokenizers[tokenizer])
        return json.dumps(facts)

    def vqgan_subject(self) -> str:
        """What the VQGAN's score is about, as JSON."""
        return self.subject(tokenizer=PROXY_TOKENIZER, stage=PROXY_TOKENIZER, seed=0)

    def floor_subject(self, name: str, seed: str | int) -> str:
        """What a floor's score is about, as JSON."""
        return json.dumps({"seed": int(seed), "tokenizer": name, "stage": FLOOR})

    def quantized_subject(self, tokenizer: str, stage: str, bits: str | int, seed: str | int) -> str:
        """What a score of rounded channels is about, as JSON."""
        return json.dumps({"seed": int(seed), "tokenizer": tokenizer, "stage": quantized_stage(stage, int(bits))})

    def probe_subject(self, tokenizer: str, seed: str | int) -> str:
        """What a probe is about, as JSON: an encoder that all stages share, or that of one stage."""
        stage = self.probed_stage(tokenizer) if self.trains_encoder_twice(tokenizer) else SHARED_ENCODER
        return self.subject(tokenizer=tokenizer, stage=stage, seed=seed)
