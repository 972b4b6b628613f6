"""What the words mean that this project's pages use: one list, for the study's page and for docs/glossary.md."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from re import Pattern

from markupsafe import Markup


@dataclass(frozen=True)
class Term:
    """A word, what it means, and how texts write it."""

    name: str
    meaning: str
    written: str = ""
    """A regular expression for all its forms; empty: the name itself, and its plural."""

    @property
    def anchor(self) -> str:
        """The id of its entry on a page."""
        return "word-" + re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")

    @cached_property
    def pattern(self) -> Pattern[str]:
        """Finds it in a text, as a word of its own."""
        return re.compile(rf"(?<![\w-])(?:{self.written or re.escape(self.name) + 's?'})(?![\w])")


TERMS = (
    Term(
        "study",
        "One YAML file that names a dataset, what is trained on it, how it is measured, and the tables and figures "
        "wanted.",
        "stud(?:y|ies)",
    ),
    Term("tokenizer", "A model that turns an image into a few tokens (encoder) and tokens into an image (decoder)."),
    Term(
        "latent tokens",
        "The whole numbers that stand for an image between encoder and decoder; K is how many an image has.",
        "latent tokens?|tokens K|K",
    ),
    Term("codebook", "The numbered vectors that tokens stand for; its size V is how many different tokens there are."),
    Term(
        "VQGAN",
        "A convolutional tokenizer with one token for each patch of the image, on a 2D grid. TiTok learns from one; "
        "others are trained beside it, to compare with.",
    ),
    Term(
        "proxy codes",
        "The tokens that a finished VQGAN gives an image. In stage 1, TiTok learns to predict them instead of pixels.",
        "proxy codes?|proxy VQGAN",
    ),
    Term(
        "views",
        "Windows of each image that are encoded beforehand: its centre, five or ten crops, or random ones drawn with a "
        "seed, mirrored or not.",
        "views",
    ),
    Term(
        "stage 1 and stage 2",
        "TiTok's two trainings: first all of it, on proxy codes; then its decoder alone, on pixels (decoder "
        "fine-tuning). In a single stage, all of it learns from pixels at once.",
        "[Ss]tages? [12]|[Dd]ecoder fine-tuning|[Ss]ingle[- ]stage",
    ),
    Term(
        "perceptual loss",
        "What a training asks of a reconstruction beside equal pixels: that a frozen network sees the same in it.",
        "perceptual loss(?:es)?",
    ),
    Term(
        "judge",
        "The classifier whose features and verdicts the scores are made of. No model is trained against it.",
        "judge",
    ),
    Term(
        "critic",
        "The classifier inside the perceptual loss, another one than the judge, so that no model is trained on the "
        "network that measures it.",
    ),
    Term(
        "generator",
        "A transformer that makes tokens of new images of a class, all positions at once and in few steps (MaskGIT); a "
        "tokenizer decodes them.",
        "generators?|MaskGIT",
    ),
    Term("sampler", "The settings that a generator is run with: steps, mask schedule, guidance, temperatures."),
    Term("mask schedule", "How many tokens are still open after each step of generation."),
    Term(
        "guidance", "Pushing each step of generation away from what the generator would do without knowing the class."
    ),
    Term(
        "rFID and gFID",
        "Fréchet distances between features of reconstructions and their originals (r), of generated and real images "
        "(g). Lower is better.",
        "(?:[a-z0-9]+-)?[rg]FID",
    ),
    Term(
        "IS",
        "Inception score: how surely a classifier names each image, and how evenly it uses its classes. Higher is "
        "better.",
        "(?:[a-z0-9]+-)?IS",
    ),
    Term(
        "PSNR", "How close the pixels of a reconstruction are to the original's, in decibels. Higher is better.", "PSNR"
    ),
    Term("SSIM", "How alike the local structure of a reconstruction and its original is; 1 is equal.", "SSIM"),
    Term(
        "linear probe",
        "A linear classifier on features of a frozen encoder: how much of the class they hold.",
    ),
    Term(
        "protocol",
        "All that a number depends on beside the model: which images, resized how, which feature network, how many "
        "samples. Two numbers share a column only if their protocols are equal.",
    ),
    Term("score record", "One JSON file with the numbers of one score, their protocol, and what made them."),
    Term(
        "working check",
        "A property that honest training always has, with margins that no seed reaches. One that fails, fails the run.",
        "[Ww]orking checks?",
    ),
    Term(
        "trend",
        "Something the paper says that numbers do. It is judged over seeds and shown, whatever comes out.",
        "[Tt]rends?",
    ),
    Term(
        "claim", "A sentence or number of the paper with the rule that judges it (`config/claims.yaml`).", "[Cc]laims?"
    ),
    Term(
        "adopt",
        "To take weights that others trained where a study would train; they are refused if they are not what the "
        "study says (`titok adopt`).",
        "adopts?|adopted|adopting",
    ),
    Term(
        "milestone",
        "A checkpoint that is kept for good, every so many steps of a training; if wanted, some test images are scored "
        "with it.",
    ),
    Term("shard", "A tar file with a few thousand images of a dataset, their bytes unchanged."),
    Term(
        "RO-Crate",
        "Research Object Crate: a folder or zip with a file that describes every other one to programs, for archives "
        "of research data (`titok crate`).",
    ),
)
"""In the order in which they build on each other."""


@dataclass
class Explainer:
    """Links a word's first occurrence on a page with its meaning, and remembers which words there were."""

    used: set[str] = field(default_factory=set)

    def __call__(self, text: str) -> Markup:
        """``text`` (escaped here) with a link on the first occurrence of each word that was not met before."""
        matches = [(term, term.pattern.search(text)) for term in TERMS if term.name not in self.used]
        found = [(match.start(), match.end(), term) for term, match in matches if match]
        pieces, place = [], 0
        # Of words that overlap, the first and longest.
        for start, end, term in sorted(found, key=lambda one: (one[0], -one[1])):
            if start < place:
                continue
            self.used.add(term.name)
            link = Markup('<a class="term" href="#{}" title="{}">{}</a>')
            pieces += [Markup.escape(text[place:start]), link.format(term.anchor, term.meaning, text[start:end])]
            place = end
        return Markup("").join([*pieces, Markup.escape(text[place:])])

    def terms(self, also: str = "") -> list[Term]:
        """The words met so far, and those in a text that holds no links, in the order of `TERMS`."""
        return [term for term in TERMS if term.name in self.used or term.pattern.search(also)]


def glossary_markdown() -> str:
    """Every word as an entry of a list."""
    return "\n".join(f"- **{term.name}**: {term.meaning}" for term in TERMS)
