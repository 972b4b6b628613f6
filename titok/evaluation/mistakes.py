"""Known ways to get another number from the same images, and what to say to whoever got it.

Collected from public threads about TiTok and its neighbours; each is a step of ``titok doctor score``.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Step = Literal["reference", "crop", "rounding", "resize", "file", "size", "splits"]
STEPS: tuple[Step, ...] = ("reference", "crop", "rounding", "resize", "file", "size", "splits")


class Mistake(NamedTuple):
    """One thing done otherwise."""

    step: Step
    advice: str
    """What was probably done, and what to do instead."""
    seen_in: str
    """Where people met it."""


MISTAKES: dict[str, Mistake] = {
    "another reference": Mistake(
        "reference",
        "the images were compared with a reference file instead of the images they were made from; rFID is against "
        "the validation images that went into the tokenizer, gFID against statistics of the training images",
        "LlamaGen issue 34: 4.28 instead of 2.1",
    ),
    "uncropped reference": Mistake(
        "crop",
        "the reference images were not cropped as the model's input was; save the very tensors that go into the "
        "tokenizer and compare with them",
        "D-AR issue 3: 2.2 instead of 1.5",
    ),
    "adm crop": Mistake(
        "crop",
        "the reference images went through ADM's crop (box halvings, rounding) and the model's input did not",
        "LlamaGen and GigaTok prepare images this way, TiTok does not",
    ),
    "bilinear resize of the reference": Mistake(
        "crop", "the reference images were resized with a bilinear filter", "maskbit's evaluation does"
    ),
    "other rounding": Mistake(
        "rounding",
        "pixels were cut off to 8 bits where they should be rounded, or the other way round; the TiTok evaluator "
        "rounds reconstructions, its sampling script cuts off",
        "imeanflow issue 5",
    ),
    "clean-fid resize": Mistake(
        "resize",
        "the images went into Inception through an antialiased bicubic resize (clean-fid); that is another metric: "
        "use TensorFlow 1's bilinear resize, as torch-fidelity and ADM do",
        "clean-fid's documentation",
    ),
    "saved as JPEG": Mistake(
        "file", "the images were saved as JPEG before they were scored; save PNG or npz", "clean-fid's paper"
    ),
    "swapped colours": Mistake(
        "file",
        "red and blue are swapped: OpenCV keeps images as BGR; convert them",
        "any pipeline that mixes libraries",
    ),
    "too few images": Mistake(
        "size",
        "fewer images were scored; the distance grows by about a constant over N. Score all 50,000",
        "1d-tokenizer issue 65: 8.7 instead of 2.8",
    ),
    "splits in file order (ADM)": Mistake(
        "splits",
        "this is ADM's inception score, the mean over splits of 5,000 in file order; the released TiTok evaluator "
        "takes all images as one split",
        "both are called IS",
    ),
    "shuffled splits": Mistake(
        "splits",
        "the images were shuffled before they were split (torch-fidelity's default)",
        "torch-fidelity's samples_shuffle",
    ),
    "splits sorted by class": Mistake(
        "splits",
        "the images are sorted by class, so that each split has few classes; the score cannot exceed their number. "
        "Shuffle them, or keep the official order (classes 0 to 999, over and over)",
        "guided-diffusion issue 161: 57; LlamaGen shuffles for this reason",
    ),
}
