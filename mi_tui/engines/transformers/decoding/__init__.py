"""Decoding: sequences, the request queue, the batch and the loop over its steps."""
