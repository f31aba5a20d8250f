"""The built-in objectives, one module each; ``mi_tui.plan.objective.OBJECTIVES`` lists them.

The modules import NumPy where they compute: the Budget step lists objectives without it.
"""
