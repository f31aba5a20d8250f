"""Ablations: their recipes, their paired comparison, and grids over two axes.

``rows.ablation_rows`` makes the recipes; ``comparison.compare`` compares what came of them.
"""
