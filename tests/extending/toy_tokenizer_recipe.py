"""A fixed-length tokenizer of another kind, trained and scored by a study: the recipe's files and edits."""

from __future__ import annotations

from extending.recipes import Edit, Recipe

TOKENIZER = Recipe(
    new={
        "titok/config/toy.py": '''\
"""The toy's settings, and what a study says of it."""

from titok.config.recipe import OwnRecipe
from titok.config.section import PositiveInt, Section
from titok.config.training import ImageTraining


class ToyModel(Section):
    """Blocks of greys."""

    image_size: PositiveInt
    block: PositiveInt
    codebook_size: PositiveInt


class ToyRecipe(OwnRecipe):
    """Trained in one stage."""

    training: ImageTraining

    @property
    def stages(self):
        return ("toy",)

    def model(self, entry, around):
        told = entry.settings
        return ToyModel(image_size=around.image_size, block=told.patch_size, codebook_size=told.codebook_size)
''',
        "titok/config/toy_jobs.py": '''\
"""What trains the toy."""

from typing import ClassVar

from titok.config.toy import ToyModel
from titok.config.training_jobs import OwnRecipeJob


class ToyJob(OwnRecipeJob):
    """The toy learns from pixels."""

    kind: ClassVar[str] = "toy"

    model: ToyModel
''',
        "titok/models/toy.py": '''\
"""Every block's mean grey is its token; a colour is learned."""

import torch
from torch import Tensor, nn

from titok.config.toy import ToyModel
from titok.models.image_tokenizer import Ids, ImageTokenizer, TokenFacts


class Toy(ImageTokenizer):
    """Four methods are all there is to a tokenizer."""

    def __init__(self, config: ToyModel) -> None:
        super().__init__()
        self.config = config
        self.tint = nn.Parameter(torch.zeros(3, 1, 1))

    @property
    def facts(self) -> TokenFacts:
        config = self.config
        return TokenFacts(config.image_size, (config.image_size // config.block) ** 2, config.codebook_size)

    def encode(self, images: Tensor) -> Tensor:
        means = nn.functional.avg_pool2d(images.mean(1, keepdim=True), self.config.block)
        return means.flatten(1)[:, :, None]

    @torch.no_grad()
    def tokenize(self, images: Tensor) -> Ids:
        levels = self.encode(images)[:, :, 0] * self.config.codebook_size
        return Ids(levels.long().clamp(0, self.config.codebook_size - 1))

    def detokenize(self, ids: Ids) -> Tensor:
        side = self.config.image_size // self.config.block
        greys = (ids.values.float() + 0.5).reshape(-1, 1, side, side) / self.config.codebook_size
        return nn.functional.interpolate(greys, scale_factor=self.config.block) + self.tint
''',
        "titok/training/toy.py": '''\
"""The toy learns its colour from pixels."""

from titok.data.transforms import floats_on
from titok.training.optimizer import Player
from titok.training.task import MODEL, Task, Turn


class ToyTask(Task):
    """One player, one turn per pass."""

    name = "toy"

    def __init__(self, model, training) -> None:
        super().__init__()
        self.model = model
        self.players = {MODEL: Player(model, training)}
        self.codebook_size = model.config.codebook_size
        self.config = {"kind": "toy", "model": model.config.resolved()}

    def updates(self, batch, step, rng):
        images = floats_on(batch.images, self.device)
        for rows, share in self.shares.passes(len(images)):
            restored, ids, _ = self.model.reconstruct(images[rows])
            loss = (restored - images[rows]).square().mean()
            yield Turn(MODEL, {"loss": loss, "indices": ids.counted()}, share)
''',
    },
    edits=(
        Edit(
            "titok/models/folder.py",
            "from titok.models.alit import Alit\n",
            "from titok.config.toy import ToyModel\nfrom titok.models.alit import Alit\n",
        ),
        Edit(
            "titok/models/folder.py",
            "from titok.models.vqgan import VQGAN\n",
            "from titok.models.toy import Toy\nfrom titok.models.vqgan import VQGAN\n",
        ),
        Edit(
            "titok/models/folder.py",
            '    "generator": Kind(',
            '    "toy": Kind(ToyModel, Toy),\n    "generator": Kind(',
        ),
        Edit(
            "titok/config/entries.py",
            "    Training,\n)\n",
            "    Training,\n)\nfrom titok.config.toy import ToyRecipe\n",
        ),
        Edit(
            "titok/config/entries.py",
            '"single_stage", "released"]\nSource',
            '"single_stage", "released", "toy"]\nSource',
        ),
        Edit(
            "titok/config/entries.py",
            '    recipe: Literal["two_stage", "single_stage", "released", "alit"]',
            "    toy: ToyRecipe | None = None\n"
            '    recipe: Literal["two_stage", "single_stage", "released", "alit", "toy"]',
        ),
        Edit(
            "titok/config/jobs.py",
            "from titok.config.study import Study\n",
            "from titok.config.study import Study\nfrom titok.config.toy_jobs import ToyJob\n",
        ),
        Edit(
            "titok/config/jobs.py",
            "    SingleStageJob,\n    GeneratorJob,\n",
            "    SingleStageJob,\n    ToyJob,\n    GeneratorJob,\n",
        ),
        Edit(
            "titok/commands/train.py",
            "from titok.config.training import PERCEPTUAL_NETWORKS",
            "from titok.config.toy_jobs import ToyJob\nfrom titok.config.training import PERCEPTUAL_NETWORKS",
        ),
        Edit(
            "titok/commands/train.py",
            "from titok.models.vqgan import VQGAN\n",
            "from titok.models.toy import Toy\nfrom titok.models.vqgan import VQGAN\n",
        ),
        Edit(
            "titok/commands/train.py",
            "from titok.training.utilisation import",
            "from titok.training.toy import ToyTask\nfrom titok.training.utilisation import",
        ),
        Edit(
            "titok/commands/train.py",
            "def _pixel_losses(",
            "@_run_of.register\n"
            "def _toy(job: ToyJob, options: argparse.Namespace) -> Run:\n"
            "    task = ToyTask(Toy(job.model), job.training)\n"
            "    images = images_of(options, job, job.training)\n"
            '    return Run(job, job.training, task, images, {"data": options.data})\n\n\n'
            "def _pixel_losses(",
        ),
        Edit(
            "titok/training/flops.py",
            "from titok.config.training import Adversarial",
            "from titok.config.toy_jobs import ToyJob\nfrom titok.config.training import Adversarial",
        ),
        Edit(
            "titok/training/flops.py",
            "        case GeneratorJob():\n",
            "        case ToyJob():\n            return StepFlops(0, 3 * job.model.image_size**2)\n"
            "        case GeneratorJob():\n",
        ),
    ),
)
