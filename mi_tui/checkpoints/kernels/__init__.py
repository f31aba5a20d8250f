"""Interpolation of raw tensor bytes: NumPy, compiled C, TIES.

No torch; every kernel writes the same bytes.
"""
