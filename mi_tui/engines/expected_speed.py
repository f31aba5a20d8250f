"""The speed that is expected of the transformers engine before it has run: a rough reckoning.

What bounds a step is told from sizes: how long the processor takes to start a layer's kernels, and
how long memory takes to be read. Nothing here was measured on the machine at hand; a study measures
its own speed when it starts.
"""

from mi_tui.engines.memory.plan import MemoryPlan

_GPU_LAYER_SECONDS = {False: 0.25e-3, True: 0.6e-3}
"""A layer's launches in place and in one pass: 9 and 22 ms for 36 layers, reckoned from the counts
of operators that a pretended GPU has seen."""

_GPU_BYTES_PER_SECOND = 1e12
"""What the slowest of today's usual GPUs reads (RTX 4090: 1.0 TB/s, A100: 1.6, H100: 3.4)."""

_CPU_LAYER_SECONDS = {False: 0.1e-3, True: 0.2e-3}
_CPU_BYTES_PER_SECOND = 20e9

_FILLED = 0.5
"""The share of its cap that a response has reached on average while it runs."""


def tokens_per_second(memory: MemoryPlan, layers: int) -> float:
    """The tokens of all responses together that a second brings, when all are at work; 0: none.

    Args:
        memory: the plan of the pair's memory.
        layers: of the model.
    """
    on_gpu = memory.gpus_each > 0
    if memory.problem or memory.response is None:
        return 0.0
    usual = max(1, int(_FILLED * memory.cap))
    rows = max(1, memory.rows(usual) // memory.copies)
    read = memory.weights + memory.delta + rows * memory.response.row(usual)
    # A model that is spread over GPUs computes on one of them at a time.
    read *= max(1, memory.gpus_each)
    bandwidth = _GPU_BYTES_PER_SECOND if on_gpu else _CPU_BYTES_PER_SECOND
    each = (_GPU_LAYER_SECONDS if on_gpu else _CPU_LAYER_SECONDS)[memory.one_pass]
    return memory.copies * rows / max(layers * each, read / bandwidth)
