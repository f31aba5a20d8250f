"""The search: the next batch of asks, decided from what is stored (``policy.next_batch``).

Pure functions, so that a worker that starts again goes on the same way.
"""
