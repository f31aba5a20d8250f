"""The model: forward passes, mixed layers, attention, KV cache, sampler."""
