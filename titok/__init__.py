"""TiTok, rebuilt to be reproduced: models, training, sampling, evaluation and the tables of the paper.

This file imports nothing heavy on purpose: Snakemake parses studies through ``titok.config`` and must
never wait for torch.
"""

__version__ = "0.1.0"
