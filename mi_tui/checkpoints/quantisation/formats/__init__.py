"""The formats of quantised weights that can be read, one module each.

A module is imported when a checkpoint is inspected, so it imports no NumPy.
"""
