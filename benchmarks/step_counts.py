"""A decode step of a deep model in counts: launches, waits of the host, copies, and host time.

``python -m benchmarks.step_counts [in-place one-pass moe-in-place moe-one-pass] [--rows 8]``

36 layers as Qwen3-4B has (48 with 128 experts for ``moe``, as Qwen3-30B-A3B), and tiny widths: what
is counted is the same at any width. Launches, waits and copies are those of a pretended CUDA device
(``tests/pretended_cuda``); the host time of a step is the processor time of the same step on the
CPU, on one thread, and a lower bound of what an eager step takes on a GPU. No GPU is used.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence as Numbers
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tests.pretended_cuda.guard import load_guard

# Wrappers made in inference mode cannot be views of those made outside.
_torch: Any = torch
_torch.inference_mode = lambda _=True: torch.no_grad()

from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3MoeConfig  # noqa: E402

from mi_tui.engines.protocol import Request  # noqa: E402
from mi_tui.engines.transformers.decoding.batch_kind import decoder_for  # noqa: E402
from mi_tui.engines.transformers.decoding.sequence import Sequence  # noqa: E402
from mi_tui.engines.transformers.model.attention import ATTENTION  # noqa: E402
from mi_tui.engines.transformers.model.merged_model import MergedModel  # noqa: E402
from mi_tui.engines.transformers.model.pair_tensors import PairTensors  # noqa: E402
from mi_tui.engines.transformers.model.slot_support import why_no_pages  # noqa: E402
from mi_tui.engines.transformers.weights import one_pass as one_pass_module  # noqa: E402
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights  # noqa: E402
from mi_tui.engines.transformers.weights.one_pass import OnePassWeights  # noqa: E402
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds  # noqa: E402
from mi_tui.plan.pair import Pair  # noqa: E402
from mi_tui.plan.recipe import Decoding, Recipe, interpolation  # noqa: E402
from tests.pretended_cuda.device import PretendedCuda  # noqa: E402

DENSE, EXPERTS = ("in-place", "one-pass"), ("moe-in-place", "moe-one-pass")
_STEPS = 8
_DECODING = Decoding(temperature=0.6, top_p=0.95, top_k=20)


@dataclass(frozen=True)
class Counts:
    """Per step, while nobody joins or leaves; ``seconds`` of the host's processor."""

    launches: float
    waits: float
    copies: float
    seconds: float
    where: dict[str, float]


def deep_pair(device: torch.device, *, experts: bool) -> PairTensors:
    """A random pair of full depth and tiny width, in bfloat16."""
    shape: dict[str, Any] = {
        "vocab_size": 8192,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 48 if experts else 36,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "tie_word_embeddings": not experts,
        "max_position_embeddings": 4096,
    }
    if experts:
        shape |= {"num_experts": 128, "num_experts_per_tok": 8, "moe_intermediate_size": 16}
    config = (Qwen3MoeConfig if experts else Qwen3Config)(**shape)

    def model(seed: int) -> MergedModel:
        torch.manual_seed(seed)
        # transformers gives it no types.
        made: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=torch.bfloat16, attn_implementation=ATTENTION
        )
        made.requires_grad_(False)
        return MergedModel(made.eval(), {})

    pair = PairTensors(model(0), model(1), device)
    pair.settle()
    return pair


def weights_of(pair: PairTensors, way: str) -> tuple[Any, list[int]]:
    """The weights of a strategy, and the numbers of the recipes that share a batch."""
    recipes = RecipeIds()
    numbers = [recipes.number(interpolation(at / 8)) for at in range(9)]
    if way.endswith("in-place"):
        return InPlaceWeights(pair, recipes, Pair(instruct="a", thinking="b")), numbers[4:5]
    # As a model is run that is too large to be fused.
    with patch.object(one_pass_module, "SMALL_MODEL", 0):
        return OnePassWeights(pair, recipes), numbers


def running(pair: PairTensors, way: str, rows: int) -> Any:
    """A decoder in the middle of its responses."""
    weights, numbers = weights_of(pair, way)
    weights.in_pages = not why_no_pages(weights.model, pair.device, pair.dtype)
    decoder = decoder_for(weights, capacity=rows, end_tokens=(1,), device=pair.device)
    decoder.admit(_sequences(numbers, rows))
    decoder.collect()
    for _ in range(3):
        decoder.step()
        decoder.collect()
    return decoder


def _sequences(numbers: Numbers[int], rows: int) -> list[Sequence]:
    recipe = Recipe(lambda_=0.5, decoding=_DECODING)
    return [
        Sequence(Request(at, recipe, tuple(range(5, 12 + at % 5)), at, 400), number)
        for at, number in enumerate((list(numbers) * rows)[:rows])
    ]


def host_seconds(way: str, rows: int) -> float:
    """Processor time of a step on the CPU, the best of several runs."""
    decoder = running(deep_pair(torch.device("cpu"), experts=way in EXPERTS), way, rows)
    best = float("inf")
    for _ in range(4):
        started = time.thread_time()
        for _ in range(_STEPS):
            decoder.step()
            decoder.collect()
        best = min(best, (time.thread_time() - started) / _STEPS)
    return best


def count(way: str, rows: int) -> Counts:
    """One strategy's step."""
    with PretendedCuda() as device:
        pair = deep_pair(torch.device("cuda", 0), experts=way in EXPERTS)
        decoder = running(pair, way, rows)
        device.reset()
        for _ in range(_STEPS):
            decoder.step()
            decoder.collect()
    waits = Counter({at: found / _STEPS for at, found in device.waits.items()})
    return Counts(
        launches=device.launches / _STEPS,
        waits=sum(waits.values()),
        copies=sum(device.copies.values()) / _STEPS,
        seconds=host_seconds(way, rows),
        where=dict(waits.most_common(3)),
    )


def main() -> None:
    """Print one line of a table for each strategy."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("ways", nargs="*", default=[*DENSE, *EXPERTS])
    parser.add_argument("--rows", type=int, default=8)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        load_guard(Path(folder))
        print(f"| {options.rows} sequences | launches | waits | copies | host ms | waits at |")
        print("|---|---|---|---|---|---|")
        for way in options.ways:
            found = count(way, options.rows)
            where = ", ".join(f"{at} {times:g}" for at, times in found.where.items())
            print(
                f"| {way} | {found.launches:,.0f} | {found.waits:,.1f} | {found.copies:.1f} | "
                f"{1000 * found.seconds:.1f} | {where or '-'} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
