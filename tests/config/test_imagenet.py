"""The paper as studies: every variant, ablation and row of its tables, at the settings of specification 8.1.

Run: pytest tests/config/test_imagenet.py
"""

from __future__ import annotations

import pytest
from config.studies import ROOT

from titok.config.jobs import job
from titok.config.load import load_study
from titok.config.paper_targets import available
from titok.config.sampling import PUBLISHED_SAMPLERS
from titok.config.study import Study
from titok.config.study_models import generator_model, tokenizer_model
from titok.config.targets import Targets
from titok.config.training import Training
from titok.models.flops import generator_flops, tokenizer_parts
from titok.reporting.paper import read_paper

STUDIES = {size: load_study(ROOT / "config" / f"imagenet{size}.yaml") for size in (256, 512)}
PAPER = read_paper(ROOT / "config" / "paper.csv")


def hyperparameters(training: Training) -> tuple[object, ...]:
    """What the table of specification 8.1 lists: steps, batch, optimiser, schedule, precision."""
    optimizer, schedule = training.optimizer, training.schedule
    return (
        (training.steps, training.batch_size),
        (optimizer.learning_rate, optimizer.betas, optimizer.weight_decay, optimizer.eps),
        (schedule.kind, schedule.warmup_steps, schedule.end_learning_rate),
        (training.compute.precision, training.compute.tf32, training.max_grad_norm, training.ema_decay),
    )


STAGE1 = ((1_000_000, 256), (1e-4, (0.9, 0.99), 1e-4, 1e-8), ("cosine", 10_000, 1e-5), ("fp16", True, 1.0, 0.999))
STAGE2 = ((500_000, 256), (1e-4, (0.9, 0.999), 1e-4, 1e-8), ("cosine", 5_000, 1e-5), ("fp16", True, 1.0, 0.999))
GENERATOR = ((500_000, 2048), (2e-4, (0.9, 0.96), 0.03, 1e-8), ("cosine", 10_000, 1e-5), ("bf16", True, 1.0, 0.999))
SINGLE = ((650_000, 256), (1e-4, (0.9, 0.999), 1e-4, 1e-8), ("cosine", 10_000, 1e-5), ("fp16", True, 1.0, 0.999))


@pytest.mark.parametrize(
    ("size", "name"), [(256, "l-32"), (256, "b-64"), (256, "s-128"), (512, "l-64"), (512, "b-128")]
)
def test_final_variants_have_the_released_settings(size: int, name: str) -> None:
    study = STUDIES[size]
    stage1, stage2 = (job(study, kind, name) for kind in ("stage1", "stage2"))  # type: ignore[arg-type]
    assert hyperparameters(stage1.training) == STAGE1  # type: ignore[attr-defined]
    assert hyperparameters(stage2.training) == STAGE2  # type: ignore[attr-defined]
    losses = stage2.losses  # type: ignore[attr-defined]
    assert (losses.reconstruction_weight, losses.quantizer_weight) == (1.0, 0.0)
    assert (losses.perceptual.kind, losses.perceptual.weight) == ("convnext_s", 0.1)
    assert (losses.adversarial.weight, losses.adversarial.start_step, losses.adversarial.lecam_weight) == (
        0.01,
        20_000,
        0.001,
    )
    model = tokenizer_model(study, name, "stage1")
    assert (model.codebook_size, model.code_dim, model.use_l2_norm, model.commitment_weight) == (4096, 12, True, 0.25)
    assert model.num_latent_tokens == int(name.split("-")[1])
    assert model.decoded_size == model.image_size == size
    assert model.grid_size == 16


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("l-32", 641_054_735),
        ("b-64", 204_814_095),
        ("s-128", 83_674_639),
        ("sl-256-vq8k", 330_260_884 - 8192),
        ("ll-32-vae", 606_879_604),
    ],
)
def test_sizes_are_those_of_the_released_checkpoints(name: str, parameters: int) -> None:
    """Re-anchored codebooks hold their running usage in 8192 numbers more, which are no parameters."""
    stage = STUDIES[256].tokenizers[name].stages[-1]
    parts = tokenizer_parts(tokenizer_model(STUDIES[256], name, stage))
    assert sum(part.parameters for part in parts.values()) in (parameters, parameters + 8192)


def test_generators_have_the_released_sizes_and_settings() -> None:
    study = STUDIES[256]
    sizes = {"l-32-vit": 177_202_432, "b-64-vit": 177_227_008, "s-128-uvit": 294_990_848}
    assert {name: generator_flops(generator_model(study, name)).parameters for name in sizes} == sizes
    for name in study.generators:
        assert hyperparameters(job(study, "generator", name).training) == GENERATOR  # type: ignore[attr-defined]
    for name in ("l-32", "b-64", "s-128"):
        assert study.samplers[name] == PUBLISHED_SAMPLERS[f"titok-{name}"]
    eight = PUBLISHED_SAMPLERS["titok-s-128"].model_copy(update={"num_steps": 8})
    assert study.samplers["s-128-8-steps"] == eight


def test_single_stage_trainings_have_the_only_published_recipe() -> None:
    study = STUDIES[256]
    for name, entry in study.tokenizers.items():
        if entry.recipe == "single_stage":
            settings = job(study, "single_stage", name)
            assert hyperparameters(settings.training) == SINGLE, name  # type: ignore[attr-defined]
            losses = settings.losses  # type: ignore[attr-defined]
            assert (losses.perceptual.kind, losses.perceptual.weight) == ("lpips+convnext_s", 1.1)
            assert (losses.adversarial.weight, losses.adversarial.start_step) == (0.1, 200_000)
    assert study.baselines["taming-2d"].losses == study.tokenizers["b-64-single"].single_stage.losses  # type: ignore[union-attr]


def test_the_preliminary_grid() -> None:
    study = STUDIES[256]
    grid = study.reporting.tables.table4
    assert grid is not None
    assert (grid.sizes, grid.tokens) == (("s", "b", "l"), (16, 32, 64, 96, 128, 192, 256))
    for cell in grid.cells():
        settings = job(study, "stage1", str(cell.row.tokenizer))
        model, training = settings.model, settings.training  # type: ignore[attr-defined]
        assert (training.steps, training.batch_size, training.random_crop, training.random_flip) == (
            500_000,
            256,
            True,
            True,
        )
        assert (model.codebook_size, model.code_dim, model.num_latent_tokens) == (1024, 16, cell.k)
        assert model.encoder == model.decoder == study.sizes[cell.size]
    assert {f"titok-{cell.size}-{cell.k}" for cell in grid.cells()} == set(PAPER.rows("table4a"))


def test_the_ladder_climbs_one_step_at_a_time() -> None:
    """Table 3a: codebook, epochs, decoder fine-tuning."""
    study = STUDIES[256]
    base, codebook, longer = (job(study, "stage1", name) for name in ("l32", "l32-codebook", "l-32"))
    assert base.training == codebook.training  # type: ignore[attr-defined]
    assert (base.model.codebook_size, codebook.model.codebook_size) == (1024, 4096)  # type: ignore[attr-defined]
    assert codebook.model == longer.model  # type: ignore[attr-defined]
    assert longer.training == codebook.training.model_copy(update={"steps": 1_000_000})  # type: ignore[attr-defined]


@pytest.mark.parametrize("schedule", ["cosine", "linear", "root"])
def test_mask_schedules_differ_in_training_and_sampling_and_in_nothing_else(schedule: str) -> None:
    study = STUDIES[256]
    ours, arccos = (job(study, "generator", name) for name in (f"l-32-{schedule}", "l-32-vit"))
    assert ours == arccos.model_copy(update={"mask_schedule": schedule})
    assert study.samplers[schedule] == study.samplers["l-32"].model_copy(update={"mask_schedule": schedule})


def test_the_baseline_row_is_maskgit_on_the_codes_of_its_vqgan() -> None:
    for size, tokens in ((256, 256), (512, 1024)):
        model = generator_model(STUDIES[size], "maskgit")
        assert (model.num_tokens, model.codebook_size) == (tokens, 1024)
        assert STUDIES[size].vqgan.source == "maskgit_vqgan"  # type: ignore[union-attr]


def shown(study: Study, table: str) -> set[str]:
    """Rows of the paper that a table names."""
    return {str(row.paper).partition("/")[2] for row in study.reporting.tables.rows(table) if row.paper}  # type: ignore[arg-type]


@pytest.mark.parametrize("table", ["table1", "table3a", "table3b", "table3c", "model_zoo", "table2"])
def test_every_row_of_the_papers_tables_is_there(table: str) -> None:
    assert shown(STUDIES[512 if table == "table2" else 256], table) == set(PAPER.rows(table))


def test_every_target_of_the_paper_belongs_to_one_of_the_two() -> None:
    wanted = {"table1", "table2", "table3a", "table3b", "table3c", "table4a", "table4b", "table4c", "table4d", "table5"}
    wanted |= {"figure2", "figure4", "samples", "reconstructions", "paper"}
    assert wanted <= {name for study in STUDIES.values() for name in available(Targets(study))}


def test_numbers_are_the_papers_kind() -> None:
    for study in STUDIES.values():
        assert study.reporting.tables.comparison == "values"
        assert study.evaluation.protocol == "titok-official"
        assert study.evaluation.num_samples == 50_000
