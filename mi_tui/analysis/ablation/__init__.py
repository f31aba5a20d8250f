"""Ablations of a recommended recipe: their rows, and their paired comparison.

``preset.from_study`` makes the preset of an ablation; ``comparison.compare`` reads its table.
"""
