"""Checkpoints: headers, comparison, kernels, merging; with mergekit and torch as judges."""
