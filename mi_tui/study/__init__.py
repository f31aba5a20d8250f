"""Studies: the store, the worker, and how a study is made, steered and read.

The study directory is the truth; everything else is a view of it.
"""
