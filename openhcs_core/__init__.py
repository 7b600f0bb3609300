"""OpenHCS on Snakemake: high-content screening pipelines compiled to workflow rules."""

__version__ = "0.1.0"
