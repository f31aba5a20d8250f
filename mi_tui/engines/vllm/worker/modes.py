"""The modes of vLLM in which a row of the batch would or might get another request's λ."""

from collections.abc import Iterator
from typing import Any


def wrong_modes(vllm_config: Any) -> Iterator[str]:
    """Each of these modes that is on, with its option and the reason.

    Args:
        vllm_config: vLLM's whole configuration.
    """
    parallel = vllm_config.parallel_config
    if parallel.use_ubatching:
        yield "micro-batches (enable_dbo, ubatch_size): each starts at the first row"
    if parallel.enable_batch_sharded_sampling:
        yield "batch-sharded sampling: each rank has other rows of logits"
    if parallel.prefill_context_parallel_size > 1:
        yield "prefill context parallelism: each rank has other tokens"
    if parallel.use_sequence_parallel_moe:
        yield "sequence-parallel experts (enable_expert_parallel): each rank has other tokens"
    if vllm_config.cache_config.kv_sharing_fast_prefill:
        yield "kv_sharing_fast_prefill: later layers have fewer tokens"
    if vllm_config.speculative_config is not None:
        # The second runner's batches list rows for drafts, which are followed (request_slots.py);
        # its drafting kernels cannot be run where this is tested.
        yield "speculative decoding: never tried with λ per request"
