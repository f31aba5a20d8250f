"""One run of a preset: the store, the worker, metrics, search and recommendation.

The study directory is the truth; everything else is a view of it.
"""
