"""From the curves to an answer: the λ for a budget, how sure it is, and what else there is.

Pure functions; ``recommend.recommend`` is the way in.
"""
