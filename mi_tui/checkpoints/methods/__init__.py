"""The merge methods, one module each: what a method is called, takes and computes.

A module is imported when a recipe is read, so NumPy is imported only where a chunk is merged.
"""
