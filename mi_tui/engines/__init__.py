"""From prompt and recipe to rollouts: one protocol, several engines.

torch and transformers are imported here, and only in the worker process.
"""
