"""Scores of responses: how scorers are declared, answer extraction, the pool of processes."""
