"""Statistics of rollouts, with their uncertainty: metrics, intervals, stages, curves over λ.

Pure functions of the observations; NumPy and SciPy only.
"""
