"""The recommendation: the λ for a budget, its certainty, and the alternatives.

Pure functions; ``recommend.recommend`` is the way in.
"""
