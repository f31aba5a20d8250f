"""The engine on vLLM: an extra, for long responses, several GPUs and several nodes.

``launch``, ``engine``, ``instance``, ``client`` and what they use run in the study's worker;
``worker``, ``loader``, ``reload``, ``rewind``, ``differences``, ``mixed_layers``, ``row_lambdas``
and ``follow`` run in vLLM's own worker processes.
"""
