"""Code that runs inside vLLM's worker processes: loading the pair, λ per request, reloading."""
