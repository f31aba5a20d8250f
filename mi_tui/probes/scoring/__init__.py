"""Scores of responses: scorers, answer extraction, and the pool of scoring processes."""
