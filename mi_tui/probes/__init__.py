"""Probes: problems, and how a response to them is scored.

Sources make frozen, hashed probes; scorers turn a response into a score.
"""
