"""The search over λ: which rollouts to generate next; ``policy.next_batch`` is the way in.

Pure functions, so that a worker that starts again goes on the same way.
"""
