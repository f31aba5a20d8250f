"""The server with λ per request: vLLM's own OpenAI server, with a middleware in front.

``middleware`` runs inside vLLM's API servers and imports nothing heavy; ``command`` starts them.
"""
