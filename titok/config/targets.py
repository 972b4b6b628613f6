"""What a study's files are called: the paths that the workflow asks for, in one place, without torch."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from titok.config.external import EXTERNAL
from titok.config.figure_inputs import FigureInputs, TableFigure
from titok.config.figures import FIGURES
from titok.config.file_sums import MEMORY, FileSums
from titok.config.floors import FLOOR, PatchCodebook
from titok.config.job import ALL
from titok.config.jobs import job
from titok.config.length_stages import length_seeds, length_stages
from titok.config.measuring_jobs import LENGTHS
from titok.config.probed import probed_tokenizers
from titok.config.reporting import PanelName, TableName
from titok.config.rows import CODECS, PROXY_TOKENIZER, CurveRun
from titok.config.soft_tokens import SOFT_STAGE
from titok.config.subjects import Subjects
from titok.config.training_jobs import ReconstructingJob
from titok.runtime.sums import sha256_json


class Targets(Subjects):
    """Paths of everything a study makes, and what decides whether it is made again."""

    @cached_property
    def sums(self) -> FileSums:
        """Of the files that the study names, as far as this machine has or has seen them."""
        return FileSums(Path(self.root) / MEMORY)

    def settings(self, kind: str, name: str) -> str:
        """Fingerprint of what decides a job's result; Snakemake reruns its rule when it changes."""
        return sha256_json(self.sums.filled(job(self.study, kind, name)).identity())

    def execution(self, kind: str, name: str) -> str:
        """The other settings of a job, as JSON: how it runs and where its files lie."""
        return json.dumps(job(self.study, kind, name).execution(), ensure_ascii=False)

    def classifier_seed(self, name: str) -> int:
        """Every classifier has a seed of its own: its place in the study."""
        return list(self.study.classifiers).index(name)

    def milestone_files(self, kind: str, name: str) -> list[str]:
        """What a training reads that scores itself at milestones: index of the test images, then the judge, if any."""
        settings = job(self.study, kind, name)
        if not isinstance(settings, ReconstructingJob) or settings.evaluation is None:
            return []
        judge = settings.evaluation.extractor.classifier
        judges = [f"{self.root}/classifiers/{judge}/model.safetensors"] if judge else []
        return [f"{self.root}/data/test.index.npz", *judges]

    def critic(self, kind: str, name: str) -> list[str]:
        """The classifier that a training's perceptual loss needs, if any."""
        losses = getattr(job(self.study, kind, name), "losses", None)
        perceptual = getattr(losses, "perceptual", None)
        critic = perceptual.classifier if perceptual else None
        return [f"{self.root}/classifiers/{critic}/model.safetensors"] if critic else []

    def encoder(self, kind: str, name: str) -> list[str]:
        """The model of the study whose frozen encoder a decoder learns to show, if it is one of the study's."""
        own = self.study.soft_tokenizers[name].own_encoder if kind == SOFT_STAGE else None
        if own is None:
            return []
        folder = PROXY_TOKENIZER if own == PROXY_TOKENIZER else f"classifiers/{own}"
        return [f"{self.root}/{folder}/model.safetensors"]

    def reconstruction_scores(self, tokenizer: str, stage: str) -> list[str]:
        """Reconstruction scores of a tokenizer's stage, one per seed."""
        seeds = self.study.tokenizer_seeds(tokenizer)
        return [f"{self.root}/scores/reconstruction/{tokenizer}/{stage}/seed{seed}.json" for seed in seeds]

    def probe_scores(self, tokenizer: str) -> list[str]:
        """Linear-probe scores of a tokenizer, one per seed."""
        return [f"{self.root}/scores/probe/{tokenizer}/seed{s}.json" for s in self.study.tokenizer_seeds(tokenizer)]

    def probe_job(self, tokenizer: str) -> str:
        """Name of the job that probes a tokenizer: tokenizers of several lengths may have another."""
        entry = self.study.tokenizers.get(tokenizer)
        at_lengths = entry is not None and entry.lengths and self.study.reporting.tables.probes_lengths
        return LENGTHS if at_lengths else ALL

    def length_scores(self, tokenizer: str, stage: str) -> list[str]:
        """Scores of a tokenizer's lengths, one per seed."""
        seeds = length_seeds(self.study, tokenizer)
        return [f"{self.root}/scores/lengths/{tokenizer}/{stage}/seed{seed}.json" for seed in seeds]

    def fixed_beside(self, tokenizer: str, seed: str | int) -> list[str]:
        """What tokenizers of one length make of each image, for a choice of lengths to be held against."""
        adaptive = self.study.adaptive_length
        if adaptive is None or tokenizer in adaptive.beside:
            return []
        there = {name: stage for name, stage in adaptive.beside.items() if int(seed) in length_seeds(self.study, name)}
        return [f"{self.root}/lengths/{name}/{stage}/seed{seed}.csv" for name, stage in there.items()]

    def generation_scores(self, generator: str, sampler: str) -> list[str]:
        """Generation scores of a generator with a sampler, one per seed."""
        seeds = self.study.generator_seeds(generator)
        return [f"{self.root}/scores/generation/{generator}/{sampler}/seed{seed}.json" for seed in seeds]

    def throughput_scores(self, generator: str, sampler: str) -> list[str]:
        """Speeds of a generator with a sampler, of its first seed; none where the study does not measure them apart,
        or another program's decoder had part in them."""
        if self.study.throughput is None or self.study.is_foreign(generator):
            return []
        seed = self.study.generator_seeds(generator)[0]
        sittings = range(self.study.throughput.sittings)
        return [
            f"{self.root}/scores/throughput/{generator}/{sampler}/seed{seed}-sitting{each}.json" for each in sittings
        ]

    def vqgan_score(self) -> list[str]:
        """Reconstruction score of the 2D VQGAN, if the study trains one."""
        return [f"{self.root}/scores/reconstruction/vqgan.json"] if self.study.vqgan else []

    def all_scores(self) -> list[str]:
        """Every score of the study; encoders are probed where a table shows that."""
        return [
            *self.vqgan_score(),
            *(path for name, stage in self.trained_stages() for path in self.reconstruction_scores(name, stage)),
            *(path for name, stage in length_stages(self.study) for path in self.length_scores(name, stage)),
            *self.score_files(f"probe/{name}" for name in probed_tokenizers(self.study)),
            *self.score_files(f"generation/{generator}/{sampler}" for generator, sampler in self.study.sampled()),
            *self.codec_scores(),
            *self.quantized_scores(),
            *self.score_files(self._stems_of_costs()),
            *(path for name in self.study.external for path in self.reconstruction_scores(name, EXTERNAL)),
            *(path for name in self.study.floors for path in self.reconstruction_scores(name, FLOOR)),
        ]

    def codec_scores(self) -> list[str]:
        """Reconstruction scores of ordinary codecs, if a figure shows them."""
        shown = (stem for figure in self.study.reporting.wanted_figures.values() for stem in figure.scores)
        return self.score_files(stem for stem in shown if stem.split("/")[1] in CODECS)

    def quantized_scores(self) -> list[str]:
        """Scores of soft tokens in few bits, if a figure shows them."""
        shown = self.study.reporting.figures.hard_and_soft
        curves = ((row, stage) for row in shown.soft for stage in shown.curve(row)) if shown else ()
        return self.score_files(f"reconstruction/{row.tokenizer}/{stage}" for row, stage in curves)

    def costs_scores(self, tokenizer: str, stage: str) -> list[str]:
        """What a tokenizer's stage costs, measured on its first seed."""
        return [f"{self.root}/scores/costs/{tokenizer}/{stage}/seed{self.study.tokenizer_seeds(tokenizer)[0]}.json"]

    def _stems_of_costs(self) -> list[str]:
        return [stem for stem in self.study.reporting.tables.scores("token_kinds") if stem.startswith("costs/")]

    def codes(self) -> list[str]:
        """The stored proxy codes that stage 1 learns from, if the study keeps any."""
        return [f"{self.root}/codes/train.npy"] if self.study.proxy_codes else []

    def code_shares(self) -> list[str]:
        """What several jobs that extract codes leave behind; nothing where one job does it all."""
        jobs = self.study.proxy_codes.jobs if self.study.proxy_codes else 1
        return [f"{self.root}/codes/shares/{job}-of-{jobs}.txt" for job in range(1, jobs + 1)] if jobs > 1 else []

    def floor_training_images(self, name: str) -> list[str]:
        """Index of the images that a floor is fitted on, if it is."""
        return [f"{self.root}/data/train.index.npz"] if isinstance(self.study.floors[name], PatchCodebook) else []

    def everything(self) -> list[str]:
        """What `snakemake` makes when asked for nothing in particular."""
        return [*self.all_scores(), *self.products()]

    def products(self) -> list[str]:
        """Tables, figures, checks, the report and the verdict."""
        tables = [path for ending in ("csv", "md", "tex") for path in self.tables(ending)]
        figures = [path for ending in ("svg", "png", "csv") for path in self.figures(ending)]
        return [
            *tables,
            *figures,
            *(f"{self.root}/{name}" for name in ("checks.json", "claims.json", "report.html", "verdict.txt")),
        ]

    def tables(self, ending: str) -> list[str]:
        """Every table the study wants."""
        return [f"{self.root}/tables/{name}.{ending}" for name in self.study.reporting.tables.files]

    def figures(self, ending: str) -> list[str]:
        """Every figure the study wants."""
        return [f"{self.root}/figures/{name}.{ending}" for name in self.study.reporting.wanted_figures]

    def table_scores(self, table: TableName | PanelName) -> list[str]:
        """Scores behind a table."""
        return self.score_files(self.study.reporting.tables.scores(table))

    def figure(self, name: str) -> FigureInputs[Any]:
        """What a figure is told and reads; of one that the study does not want, nothing."""
        return self.study.reporting.wanted_figures.get(name) or FigureInputs(None)

    def figure_scores(self, figure: str) -> list[str]:
        """Scores behind a figure."""
        return self.score_files(self.figure(figure).scores)

    def figure_logs(self, figure: str) -> list[str]:
        """Training logs behind a figure: the first seed of each run."""
        return [f"{self.root}/{run.directory(self._first_seed(run))}/metrics.jsonl" for run in self.figure(figure).runs]

    def figure_manifests(self, figure: str) -> list[str]:
        """Manifests of the same runs."""
        return [path.replace("metrics.jsonl", "manifest.json") for path in self.figure_logs(figure)]

    def _first_seed(self, run: CurveRun) -> int:
        if run.generator:
            return self.study.generator_seeds(run.generator)[0]
        if run.tokenizer in self.study.tokenizers:
            return self.study.tokenizer_seeds(run.tokenizer)[0]
        return self.study.seeds[0]  # VQGAN and classifiers are trained once; their folders name no seed

    def figure_paper(self, figure: str) -> bool:
        """Whether a figure shows the paper's numbers."""
        return self.figure(figure).shows_paper

    def figure_images(self, figure: str) -> list[str]:
        """Files with the images that a grid shows."""
        return [f"{self.root}/{path}" for path in self.figure(figure).images]

    def report_settings(self, table: TableName | PanelName | None = None, figure: str | None = None) -> str:
        """Fingerprint of what a table, a figure or (without either) the whole report is told by the study."""
        reporting = self.study.reporting
        settings: object = {"title": self.study.title, "about": self.study.description, **reporting.resolved()}
        if table is not None:
            tables = reporting.tables.resolved()
            own = tables["table4" if table in reporting.tables.panels else table]
            settings = [own, tables["comparison"]]
        elif figure is not None:
            kind, tables = FIGURES[figure], reporting.tables.resolved()
            own = tables[kind.table] if issubclass(kind, TableFigure) else reporting.figures.resolved()[figure]
            settings = [own, reporting.figure_dpi]
        return sha256_json(settings)

    def score_files(self, stems: Iterable[str]) -> list[str]:
        """Files behind score stems such as `reconstruction/l2/stage2` (below `scores/`, without seed), all seeds."""
        return [path for stem in dict.fromkeys(stems) for path in self._seeded(stem)]

    def _seeded(self, stem: str) -> list[str]:
        match stem.split("/"):
            case ["reconstruction", "vqgan"]:
                return self.vqgan_score()
            case ["reconstruction", codec, _] if codec in CODECS:
                return [f"{self.root}/scores/{stem}/seed0.json"]
            case ["reconstruction", tokenizer, stage]:
                return self.reconstruction_scores(tokenizer, stage)
            case ["lengths", tokenizer, stage]:
                return self.length_scores(tokenizer, stage)
            case ["costs", "vqgan"]:
                return [f"{self.root}/scores/costs/vqgan.json"]
            case ["costs", tokenizer, stage]:
                return self.costs_scores(tokenizer, stage)
            case ["probe", tokenizer]:
                return self.probe_scores(tokenizer)
            case ["generation", generator, sampler]:
                return [*self.generation_scores(generator, sampler), *self.throughput_scores(generator, sampler)]
        raise ValueError(f"{stem!r} is no score; allowed: reconstruction/..., lengths/..., probe/..., generation/...")
