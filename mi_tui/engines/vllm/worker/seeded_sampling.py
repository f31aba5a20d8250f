"""Seeded sampling in vLLM that does not depend on how long prompts are cut into parts.

A request whose prompt is not read to its end in a step is sampled all the same, and vLLM rewinds
its generator by an offset. Generators of CPUs have none: vLLM 0.32 then ends with an error.
"""

from typing import Any

import torch
from torch import Tensor


class RewindingGenerator(torch.Generator):
    """A CPU generator that goes back to ``start`` where vLLM would count an offset back."""

    start: Tensor

    def get_offset(self) -> int:
        """Where vLLM counts back from; of no meaning."""
        return 0

    def set_offset(self, _offset: int) -> torch.Generator:
        """Forget what was drawn, whatever the offset."""
        return self.set_state(self.start)


def rewinding(generator: torch.Generator) -> RewindingGenerator:
    """A generator that draws what this one would, and goes back to where this one is now."""
    made = RewindingGenerator()
    made.start = generator.get_state()
    made.set_state(made.start)
    return made


def let_generators_rewind(runner: Any) -> None:
    """After a step is prepared, exchange the generators that vLLM will rewind in it.

    Other devices than CPUs can rewind by themselves, and the second model runner has no generators.
    """
    if runner.device.type != "cpu":
        return
    batch = runner.input_batch
    unread = runner.discard_request_mask.np[: batch.num_reqs].nonzero()[0].tolist()
    for at in unread:
        if at in batch.generators:
            generator = rewinding(batch.generators[at])
            batch.generators[at] = generator
            runner.requests[batch.req_ids[at]].generator = generator
