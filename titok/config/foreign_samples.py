"""What no study can show: samples whose decoder is another program's."""

from __future__ import annotations

from titok.config.study import Study


def check_foreign_samples(study: Study) -> None:
    """Ids of another program become images by its own decoder alone, so that nothing here shows samples of them."""
    for name, generator in study.generators.items():
        if generator.tokenizer in study.external and generator.source is not None:
            raise ValueError(
                f"generators.{name}.source: released weights belong to released tokenizers, not to the ids of "
                f"external.{generator.tokenizer}; give training"
            )
    for shown, _, where in study.reporting.runs():
        entry = study.generators.get(shown)
        if entry and entry.tokenizer in study.external:
            raise ValueError(
                f"{where}: generators.{shown} learns the ids of external.{entry.tokenizer}, whose decoder is not "
                f"here, so that the study has no samples; take the row out, and score what that decoder makes of "
                f"`titok generate --output ids.json` by `titok score generation --samples`"
            )
