"""mi-tui: guided tuning of model interpolation between an Instruct and a Thinking checkpoint."""

__version__ = "0.1.0"
