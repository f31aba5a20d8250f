"""Checkpoints: find, inspect, compare, interpolate, write.

Inspection reads headers and JSON only; torch is imported by the kernels alone.
"""
