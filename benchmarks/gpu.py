"""The engine at Qwen3-4B's shape, with random weights made on the device: nothing is downloaded.

``python -m benchmarks.gpu [--device cuda] [--shape 4b] [--k 1 4 16 64] [--tokens 128]``

Prints, for nine λ × K prompts of random tokens and a fixed number of new tokens each: one pass,
in place (switches included) and ``model.generate`` of one merged model on K prompts times nine;
then one step eagerly, as a CUDA graph and (``--compile``) compiled; attention with and without a
mask; one change of λ against a copy of the same bytes, from the device and from pinned host
memory; and the memory taken. ``--device cpu --shape tiny`` tries the logic. Runs on torch ≥ 2.11
and transformers ≥ 5.17.
"""

import argparse
import time
from collections import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, GenerationConfig, Qwen3Config

from benchmarks.gpu_steps import Step, print_attention, print_steps
from mi_tui.engines.protocol import Request
from mi_tui.engines.transformers.decoding.decoder import Decoder
from mi_tui.engines.transformers.decoding.sequence import Sequence
from mi_tui.engines.transformers.model.attention import ATTENTION
from mi_tui.engines.transformers.model.forward import Weights
from mi_tui.engines.transformers.model.merged_model import MergedModel
from mi_tui.engines.transformers.model.pair_tensors import PairTensors, TensorPair
from mi_tui.engines.transformers.weights.in_place import InPlaceWeights, interpolate_into
from mi_tui.engines.transformers.weights.one_pass import OnePassWeights
from mi_tui.engines.transformers.weights.recipe_ids import RecipeIds
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation

SHAPES: dict[str, dict[str, Any]] = {
    "4b": {
        "vocab_size": 151936,
        "hidden_size": 2560,
        "intermediate_size": 9728,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "0.6b": {
        "vocab_size": 151936,
        "hidden_size": 1024,
        "intermediate_size": 3072,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
    },
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
PROMPT_TOKENS = 128


def random_model(config: Qwen3Config, dtype: torch.dtype, device: str, seed: int) -> Any:
    torch.manual_seed(seed)
    with torch.device(device):
        # transformers gives it no types.
        model: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
            config, dtype=dtype, attn_implementation=ATTENTION
        )
    model.requires_grad_(False)
    model.eval()
    return model


def random_pair(shape: str, dtype: torch.dtype, device: str) -> PairTensors:
    config = Qwen3Config(
        head_dim=128, tie_word_embeddings=True, max_position_embeddings=40960, **SHAPES[shape]
    )
    instruct = random_model(config, dtype, device, 0)
    thinking = random_model(config, dtype, device, 0)
    with torch.no_grad():
        for parameter in thinking.parameters():  # about as close as an Instruct–Thinking pair is
            parameter.add_(0.03 * parameter.abs().mean() * torch.randn_like(parameter))
    sides = (MergedModel(instruct, {}), MergedModel(thinking, {}))
    return PairTensors(*sides, torch.device(device))


def prompts(count: int, vocabulary: int) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(1)
    drawn = torch.randint(vocabulary, (count, PROMPT_TOKENS), generator=generator)
    return [tuple(line) for line in drawn.tolist()]


def timed(act: Callable[[], object], device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    started = time.perf_counter()
    act()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter() - started


def decode(
    weights: Weights, numbers: abc.Sequence[int], tokens: int, pair_tensors: PairTensors
) -> None:
    texts = prompts(len(numbers), pair_tensors.vocabulary)
    recipe = interpolation(0.5)
    sequences = [
        Sequence(Request(at, recipe, texts[at], at, tokens), number)
        for at, number in enumerate(numbers)
    ]
    decoder = Decoder(weights, capacity=len(sequences), end_tokens=(), device=pair_tensors.device)
    decoder.admit(sequences)
    while decoder.sequences:
        decoder.step()
        decoder.collect()


def generate(model: Any, count: int, tokens: int, pair_tensors: PairTensors) -> None:
    ids = torch.tensor(prompts(count, pair_tensors.vocabulary), device=pair_tensors.device)
    model.set_attn_implementation("sdpa")
    # transformers gives it no types.
    settings = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True, temperature=0.6, top_p=0.95, top_k=0, max_new_tokens=tokens, pad_token_id=0
    )
    model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)
    model.set_attn_implementation(ATTENTION)


def copy_seconds(tensors: abc.Sequence[torch.Tensor], device: str) -> float:
    out = [torch.empty_like(tensor) for tensor in tensors]

    def copy() -> None:
        for target, tensor in zip(out, tensors, strict=True):
            target.copy_(tensor)

    copy()
    return min(timed(copy, device) for _ in range(3))


def pinned_switch(pair_tensors: PairTensors) -> float:
    """Seconds of one change of λ with the pair in pinned host memory, as where one model fits.

    A sample of the tensors, up to 2 GiB a side, scaled up to all of them.
    """
    sample: list[TensorPair] = []
    for tensor_pair in pair_tensors:
        if sum(s.instruct.nbytes for s in sample) < 2 << 30:
            sample.append(tensor_pair)
    host = [(s.instruct.cpu().pin_memory(), s.thinking.cpu().pin_memory()) for s in sample]
    out = [torch.empty_like(s.instruct) for s in sample]

    def switch() -> None:
        for target, (mine, theirs) in zip(out, host, strict=True):
            to = target.device
            interpolate_into(
                target, mine.to(to, non_blocking=True), theirs.to(to, non_blocking=True), 0.55
            )

    switch()
    taken = sum(s.instruct.nbytes for s in sample)
    fastest = min(timed(switch, str(pair_tensors.device)) for _ in range(3))
    return fastest * pair_tensors.bytes / taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shape", choices=SHAPES, default="4b")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--k", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--context", type=int, default=1024)
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    device = given.device
    if device == "cpu":
        torch.set_num_threads(1)
    where = torch.cuda.get_device_name() if device.startswith("cuda") else device
    print(f"{where}, torch {torch.__version__}, transformers {transformers.__version__}")
    pair_tensors = random_pair(given.shape, getattr(torch, given.dtype), device)
    recipes = RecipeIds()
    numbers = [recipes.number(interpolation(at / 8)) for at in range(9)]
    in_place = InPlaceWeights(pair_tensors, recipes, Pair(instruct="random", thinking="random"))
    one_pass = OnePassWeights(pair_tensors, recipes)
    decode(one_pass, numbers, 4, pair_tensors)
    decode(in_place, numbers[:1], 4, pair_tensors)
    generate(in_place.model, 1, 4, pair_tensors)

    def nine_in_place(k: int) -> None:
        for number in numbers:
            decode(in_place, [number] * k, given.tokens, pair_tensors)

    print("| K | one pass (s) | in place (s) | 9 × generate (s) | one pass vs generate |")
    print("|---|---|---|---|---|")
    for k in given.k:
        mixed = timed(partial(decode, one_pass, numbers * k, given.tokens, pair_tensors), device)
        single = timed(partial(nine_in_place, k), device)
        plain = 9 * timed(partial(generate, in_place.model, k, given.tokens, pair_tensors), device)
        print(f"| {k} | {mixed:.2f} | {single:.2f} | {plain:.2f} | {plain / mixed:.1f} × |")
    config = pair_tensors.config
    steps = [
        step
        for count in given.k
        for step in (
            Step("one recipe", in_place, numbers[4:5] * count),
            Step("one pass", one_pass, numbers * count),
        )
    ]
    print_steps(steps, given.context, pair_tensors.device, given.compile)
    heads = config.num_attention_heads, config.num_key_value_heads
    first = next(iter(pair_tensors)).instruct
    print_attention(16, heads, config.head_dim, (given.context, 4 * given.context), first)
    copied = copy_seconds([tensor_pair.instruct for tensor_pair in pair_tensors], device)
    switches = []
    for at in range(4):
        recipe = interpolation(0.3 + at / 10)
        switches.append(timed(partial(in_place.switch, recipe), device))
    gib = pair_tensors.bytes / (1 << 30)
    print(
        f"switch {min(switches):.4f} s, copy {copied:.4f} s ({gib:.1f} GiB): "
        f"{min(switches) / copied:.2f} ×"
    )
    if device.startswith("cuda"):
        print(f"switch from pinned host memory {pinned_switch(pair_tensors):.4f} s")
        print(f"peak memory {torch.cuda.max_memory_allocated() / (1 << 30):.1f} GiB")


if __name__ == "__main__":
    main()
