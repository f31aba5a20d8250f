"""The engine on vLLM: an extra, for long responses, several GPUs and several nodes.

The modules here run in the study's worker; those of ``worker`` in vLLM's own processes.
"""
