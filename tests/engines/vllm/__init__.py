"""The vLLM engine: its logic without vLLM, and the real thing with it (``make test-vllm``)."""
