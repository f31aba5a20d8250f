"""Generators on CPUs go back where vLLM rewinds them."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from mi_tui.engines.vllm.worker.seeded_sampling import let_generators_rewind, rewinding


def draws(generator: torch.Generator, count: int = 5) -> list[float]:
    return torch.rand(count, generator=generator).tolist()


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def runner(unread: list[bool]) -> Any:
    """The parts of vLLM's first runner that matter, on a CPU: three requests, the last greedy."""
    generators = {0: seeded(1), 1: seeded(2)}
    return SimpleNamespace(
        device=torch.device("cpu"),
        discard_request_mask=SimpleNamespace(np=np.array([*unread, True, True])),
        input_batch=SimpleNamespace(num_reqs=3, req_ids=["a", "b", "c"], generators=generators),
        requests={
            "a": SimpleNamespace(generator=generators[0]),
            "b": SimpleNamespace(generator=generators[1]),
            "c": SimpleNamespace(generator=None),
        },
    )


def rewind_as_vllm_does(one: Any) -> None:
    for at in np.nonzero(one.discard_request_mask.np[: one.input_batch.num_reqs])[0]:
        generator = one.input_batch.generators.get(int(at))
        if generator is not None:
            generator.set_offset(generator.get_offset() - 4)


def test_a_generator_goes_back_to_where_it_was_taken_over() -> None:
    plain = seeded(7)
    draws(plain)
    copy = rewinding(plain)
    first = draws(copy)
    copy.set_offset(copy.get_offset() - 4)
    assert draws(copy) == first == draws(plain)


def test_what_is_drawn_for_a_prompt_half_read_does_not_count() -> None:
    one = runner([True, False, True])
    for _ in range(3):
        let_generators_rewind(one)
        drawn = [draws(one.input_batch.generators[at]) for at in (0, 1)]
        rewind_as_vllm_does(one)
    assert drawn[0] == draws(seeded(1))
    assert drawn[1] == draws(seeded(2), 15)[10:]
    assert one.requests["a"].generator is one.input_batch.generators[0]
    assert one.requests["c"].generator is None


def test_other_devices_are_left_alone() -> None:
    one = SimpleNamespace(device=torch.device("cuda"))
    let_generators_rewind(one)
    assert vars(one) == {"device": torch.device("cuda")}
