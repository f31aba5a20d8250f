"""Pure functions of what a study has stored: statistics, recommendation, search, ablation.

Reads observations and returns results; touches no file, no database and no model.
"""
