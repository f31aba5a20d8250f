"""The entry point by which every process of vLLM knows our loader.

``pyproject.toml`` names it in the group ``vllm.general_plugins``, so that it also holds for a vLLM
that we did not start, such as ``vllm serve --load-format mi-tui``.
"""

import functools

from mi_tui.engines.vllm.worker.spec import LOAD_FORMAT


@functools.cache
def register() -> None:
    """Tell vLLM of the loader; more than once in a process changes nothing."""
    from vllm.model_executor.model_loader import register_model_loader

    from mi_tui.engines.vllm.worker.loader import PairLoader

    register_model_loader(LOAD_FORMAT)(PairLoader)
