"""A fixed-length tokenizer of another kind, trained and scored by a study: the recipe's files and edits."""

from __future__ import annotations

from extending.recipes import Edit, Recipe

_JOB = '''\
class ToyJob(TokenizerJob):
    """The toy learns from pixels."""

    kind: ClassVar[str] = "toy"

    model: ToyModel

    @classmethod
    def own(cls, study: Study, name: str, stage: Any) -> dict[str, Any]:
        """The model."""
        entry, size = study.tokenizers[name], study.dataset.image_size
        return {"model": ToyModel(image_size=size, block=entry.patch_size, codebook_size=entry.codebook_size)}


'''

TOKENIZER = Recipe(
    new={
        "titok/models/toy.py": '''\
"""Every block's mean grey is its token; a colour is learned."""

import torch
from torch import Tensor, nn

from titok.config.model import ToyModel
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
            "titok/config/model.py",
            "class VQGANModel(Section):\n",
            'class ToyModel(Section):\n    """Blocks of greys."""\n\n'
            "    image_size: PositiveInt\n    block: PositiveInt\n    codebook_size: PositiveInt\n\n\n"
            "class VQGANModel(Section):\n",
        ),
        Edit(
            "titok/models/folder.py",
            "GeneratorModel, TokenizerModel, VQGANModel\n",
            "GeneratorModel, TokenizerModel, ToyModel, VQGANModel\n",
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
            '"single_stage", "released"]\nSource',
            '"single_stage", "released", "toy"]\nSource',
        ),
        Edit(
            "titok/config/entries.py",
            "class Tokenizer(TokenizerSettings):\n",
            'class ToyStage(Section):\n    """From pixels."""\n\n    training: ImageTraining\n\n\n'
            "class Tokenizer(TokenizerSettings):\n",
        ),
        Edit(
            "titok/config/entries.py",
            '    recipe: Literal["two_stage", "single_stage", "released", "alit"]',
            "    toy: ToyStage | None = None\n"
            '    recipe: Literal["two_stage", "single_stage", "released", "alit", "toy"]',
        ),
        Edit(
            "titok/config/entries.py",
            '"single_stage": "single_stage", "released": "source"}',
            '"single_stage": "single_stage", "released": "source", "toy": "toy"}',
        ),
        Edit(
            "titok/config/training_jobs.py",
            "GeneratorModel, TokenizerModel, VQGANModel\n",
            "GeneratorModel, TokenizerModel, ToyModel, VQGANModel\n",
        ),
        Edit(
            "titok/config/training_jobs.py",
            "class GeneratorJob(TrainingJob):\n",
            _JOB + "class GeneratorJob(TrainingJob):\n",
        ),
        Edit(
            "titok/config/jobs.py", "    Stage2Job,\n    VQGANJob,\n)", "    Stage2Job,\n    ToyJob,\n    VQGANJob,\n)"
        ),
        Edit(
            "titok/config/jobs.py",
            "    SingleStageJob,\n    GeneratorJob,\n",
            "    SingleStageJob,\n    ToyJob,\n    GeneratorJob,\n",
        ),
        Edit("titok/commands/train.py", "    Stage2Job,\n", "    Stage2Job,\n    ToyJob,\n"),
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
            "def _needed(options",
            "@_run_of.register\n"
            "def _toy(job: ToyJob, options: argparse.Namespace) -> Run:\n"
            "    task = ToyTask(Toy(job.model), job.training)\n"
            '    return Run(job, job.training, task, _images(options, job, job.training), {"data": options.data})\n\n\n'
            "def _needed(options",
        ),
        Edit("titok/training/flops.py", "Stage2Job, VQGANJob\n", "Stage2Job, ToyJob, VQGANJob\n"),
        Edit(
            "titok/training/flops.py",
            "        case GeneratorJob():\n",
            "        case ToyJob():\n            return StepFlops(0, 3 * job.model.image_size**2)\n"
            "        case GeneratorJob():\n",
        ),
    ),
)
