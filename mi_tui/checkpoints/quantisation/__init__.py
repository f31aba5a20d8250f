"""Quantised weights read as bfloat16: formats, their arithmetic, and a checkpoint's plain view.

Importing it loads no NumPy; that is loaded when quantised elements are read.
"""
