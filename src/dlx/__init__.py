"""dlx: one YAML file describes an experiment, one command trains it."""

__version__ = "0.1.0"
