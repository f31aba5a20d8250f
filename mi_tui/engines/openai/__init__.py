"""A client of OpenAI-compatible servers.

Reads every answer as the text of a stranger.
"""
