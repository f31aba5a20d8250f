"""Find, inspect, compare, interpolate and write checkpoints.

Inspection reads headers and JSON only; torch is imported by the kernels alone.
"""
