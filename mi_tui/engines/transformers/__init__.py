"""The default engine: transformers models decoded by our own scheduler.

``engine.TransformersEngine`` is the way in; runs in the worker process alone.
"""
