"""Ablations of a recommended recipe: their rows, and their paired comparison.

``rows.ablation_rows`` makes the recipes; ``comparison.compare`` compares what came of them.
"""
