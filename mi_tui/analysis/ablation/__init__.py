"""What a finished study is taken apart into: ablations, their paired comparison, λ per layer group.

``preset.from_study`` makes the preset of an ablation; ``comparison.compare`` reads its table.
"""
