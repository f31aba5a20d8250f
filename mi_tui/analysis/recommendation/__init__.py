"""Recommendations: the λ for a budget, how sure it is, and its alternatives.

Pure functions; ``recommend.recommend`` is the way in.
"""
