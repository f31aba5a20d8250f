"""Measurements of mi-tui; each module runs as ``python -m benchmarks.NAME``."""
