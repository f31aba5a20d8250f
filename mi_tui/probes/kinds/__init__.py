"""Kinds of probe: one module per source of problems."""
