"""Confirmation of an exported checkpoint on the server that runs it."""
