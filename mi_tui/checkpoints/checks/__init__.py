"""Checks: a checkpoint against its own config, and two checkpoints against each other."""
