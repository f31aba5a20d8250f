"""What to ask next, decided from what is stored: ``policy.next_batch`` is the way in.

Pure functions, so that a worker that starts again goes on the same way.
"""
