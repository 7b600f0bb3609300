"""The command line, and what the Snakefile calls."""
