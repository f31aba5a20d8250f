"""The engine on vLLM: an extra, for long responses, several GPUs and several nodes.

``engine``, ``client``, ``arguments``, ``sampling``, ``waiting`` and ``self_check`` run in the
study's worker; ``worker``, ``loader``, ``reload``, ``differences``, ``mixed_layers`` and
``row_lambdas`` run in vLLM's own worker processes. Only the latter and ``client`` import vLLM.
"""
