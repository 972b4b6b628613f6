# `snakemake --cores all` from the project's root; the workflow itself lives in workflow/.
include: "workflow/Snakefile"
