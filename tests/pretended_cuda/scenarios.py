"""What the engine does on a pretended device, each as a function that returns what was seen.

``python -m tests.pretended_cuda.scenarios NAME …`` runs them in a process of their own, because
torch's inference mode has to be replaced before mi_tui is imported, and the device guard stays.
"""

import json
import sys
import tempfile
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from tests.pretended_cuda.guard import load_guard

# Wrappers made in inference mode cannot be views of those made outside.
_torch: Any = torch
_torch.inference_mode = lambda _=True: torch.no_grad()
torch.set_num_threads(1)

from mi_tui.checkpoints.inspect import inspect  # noqa: E402
from mi_tui.checkpoints.locate import locate  # noqa: E402
from mi_tui.engines.chat import Chat  # noqa: E402
from mi_tui.engines.memory.planner import plan_memory  # noqa: E402
from mi_tui.engines.protocol import Request  # noqa: E402
from mi_tui.engines.transformers.decoding.batch_state import BatchState  # noqa: E402
from mi_tui.engines.transformers.decoding.decoder import Decoder  # noqa: E402
from mi_tui.engines.transformers.decoding.sequence import Sequence  # noqa: E402
from mi_tui.engines.transformers.devices.pair_size import pair_size  # noqa: E402
from mi_tui.engines.transformers.devices.placement import Placement, place_over  # noqa: E402
from mi_tui.engines.transformers.engine import TransformersEngine  # noqa: E402
from mi_tui.engines.transformers.model import kv_cache, pair_tensors  # noqa: E402
from mi_tui.machine.gpus import Gpu  # noqa: E402
from mi_tui.machine.resources import Machine  # noqa: E402
from mi_tui.plan.engine import EnginePlan  # noqa: E402
from mi_tui.plan.pair import Pair  # noqa: E402
from mi_tui.plan.recipe import Decoding, Recipe  # noqa: E402
from mi_tui.plan.scope import ModuleKind, Scope  # noqa: E402
from tests.checkpoints.families import tiny_pair  # noqa: E402
from tests.pretended_cuda import kernels  # noqa: E402
from tests.pretended_cuda.device import PretendedCuda  # noqa: E402

Seen = dict[str, Any]
CACHE_BYTES_PER_TOKEN = 2 * 4 * 2 * 8 * 4
"""Of the tiny Qwen3 pair in float32: 4 layers, 2 key/value heads of 8."""

GREEDY = Decoding(temperature=0)
WARM = Decoding(temperature=0.8, top_p=0.9, top_k=20)
ON_HOST = Placement(False, False, "host", pinned=True, reason="a test")


def plan(device: str, mode: str = "auto", batch: int = 6, dtype: str = "float32") -> EnginePlan:
    """An engine section."""
    return EnginePlan.model_validate(
        {"device": device, "mode": mode, "batch": batch, "dtype": dtype, "threads": 1}
    )


def tiny(family: str, folder: Path) -> Pair:
    """A random pair of a family, without a base."""
    instruct, thinking, *_ = tiny_pair(family, folder)
    return Pair(instruct=str(instruct), thinking=str(thinking))


def requests(count: int = 8, most: int = 6) -> list[Request]:
    """Requests of four recipes, with prompts of different lengths."""
    recipes = (
        Recipe(lambda_=0.0, decoding=GREEDY),
        Recipe(lambda_=0.3, decoding=WARM),
        Recipe(lambda_=0.6, scope=Scope(modules=(ModuleKind.FFN,)), decoding=GREEDY),
        Recipe(lambda_=1.0, decoding=WARM),
    )
    return [
        Request(n, recipes[n % 4], tuple(3 + (7 * n + 3 * j) % 90 for j in range(1 + n)), n, most)
        for n in range(count)
    ]


def tokens(engine: TransformersEngine, wanted: list[Request]) -> dict[int, tuple[int, ...]]:
    """All responses by request id."""
    engine.add(wanted)
    found: dict[int, tuple[int, ...]] = {}
    while engine.pending:
        found |= {one.request_id: one.tokens for one in engine.step(0.2)}
    return found


def family(name: str, folder: Path, placement: Placement | None = None) -> Seen:
    """A family's tokens on the device and on the CPU."""
    pair, wanted = tiny(name, folder), requests()
    mode = "one-pass" if placement is None else "in-place"
    expected = tokens(TransformersEngine.open(plan("cpu", mode), pair), wanted)
    placed = patch.object(pair_tensors, "place_pair", lambda *_, **__: placement)
    with PretendedCuda() as gpu, placed if placement else nullcontext():
        engine = TransformersEngine.open(plan("cuda:0", mode), pair)
        check = engine.self_check()
        found = tokens(engine, wanted)
        one_pass = engine.capabilities.mixes_recipes
    return {
        "check": check.passed,
        "same": found == expected,
        "refused": gpu.refused,
        "one_pass": one_pass,
    }


def whole(folder: Path) -> Seen:
    """Load, self-check, calibrate, cost model, decode, as exported, cancel, in bfloat16."""
    with PretendedCuda() as gpu:
        engine = TransformersEngine.open(plan("cuda", dtype="bfloat16"), tiny("qwen3", folder))
        seen: Seen = {"check": engine.self_check().passed}
        seen["concurrencies"] = [point.concurrency for point in engine.calibrate((4,))]
        seen["costs"] = sorted(engine.cost_model().single.points)
        seen["decoded"] = len(tokens(engine, requests(12)))
        exported = Request(50, Recipe(lambda_=0.55), (5, 6, 7), 0, 8, as_exported=True)
        seen["exported"] = len(tokens(engine, [exported]))
        engine.add(requests(8, most=20))
        engine.step(0.0)
        engine.cancel(range(4))
        seen["left"] = len(tokens(engine, []))
        engine.close()
    return seen | {"refused": gpu.refused, "live": gpu.memory.live}


def memory_limit(folder: Path) -> Seen:
    """Responses that fill a small card, against the same without a limit."""
    wanted, pair = requests(6, most=90), tiny("qwen3", folder)
    resizes: list[int] = []
    real = Decoder.resize

    def resize(self: Decoder, capacity: int) -> list[Sequence]:
        resizes.append(capacity)
        return real(self, capacity)

    with patch.object(Chat, "end_tokens", lambda *_: ()), patch.object(Decoder, "resize", resize):
        expected = tokens(TransformersEngine.open(plan("cpu", "one-pass"), pair), wanted)
        with (
            PretendedCuda() as gpu,
            patch.object(kv_cache, "_WORTH_ASKING", 0),
            patch.object(kv_cache, "_KEPT_FREE", 48 << 10),
        ):
            engine = TransformersEngine.open(plan("cuda:0", "one-pass"), pair)
            # Beside the weights and 64 KiB for a pass there is room for three whole responses.
            whole_responses = 3 * 100 * CACHE_BYTES_PER_TOKEN
            gpu.memory.limit = gpu.memory.live + (64 << 10) + whole_responses
            found = tokens(engine, wanted)
    return {"same": found == expected, "resizes": resizes, "refused": gpu.refused}


def check_memory(folder: Path) -> Seen:
    """A card that is full once the weights are on it, but for a part of what a check takes."""
    with PretendedCuda() as gpu:
        engine = TransformersEngine.open(plan("cuda:0"), tiny("qwen3", folder))
        gpu.memory.limit = gpu.memory.live + (96 << 10)
        check = engine.self_check()
        note = engine.capabilities.note
    return {
        "check": check.passed,
        "said": check.message,
        "note": note,
        "refusals": gpu.memory.refusals,
        "refused": gpu.refused,
    }


def in_pages(name: str, folder: Path) -> Seen:
    """A family in half precision, whose sequences hold pages where its layers allow it."""
    pair, wanted = tiny(name, folder), requests(5, most=6)
    # One that needs a second page after a few tokens.
    longest = tuple(3 + at % 90 for at in range(252))
    wanted.append(Request(5, wanted[1].recipe, longest, 5, 8))
    with PretendedCuda() as gpu:
        engine = TransformersEngine.open(plan("cuda:0", "one-pass", dtype="bfloat16"), pair)
        check = engine.self_check()
        engine.add(wanted)
        found: dict[int, int] = {}
        while engine.pending:
            found |= {one.request_id: one.token_count for one in engine.step(0.0)}
            decoder = engine._scheduler._decoder
        one_pass, note = engine.capabilities.mixes_recipes, engine.capabilities.note
    return {
        "check": check.passed,
        "said": check.message,
        "pages": isinstance(decoder, Decoder) and decoder.in_pages,
        "note": note,
        "one_pass": one_pass,
        "done": len(found),
        "refused": gpu.refused,
    }


def broken_kernel(folder: Path) -> Seen:
    """A planted fault: a kernel that leaves the rows of all sequences but the first unwritten."""
    real = kernels.varlen

    def broken(query: torch.Tensor, *args: Any) -> Any:
        found, *rest = real(query, *args)
        found[1:] = 0
        return found, *rest

    with patch.object(kernels, "varlen", broken):
        return in_pages("qwen3", folder)


def planned(folder: Path) -> Seen:
    """What the plan of memory says lies on the card, against what does, on three sizes of card."""
    pair = tiny("qwen3", folder)
    sides = inspect(locate(pair.instruct)), inspect(locate(pair.thinking))
    size = pair_size(*sides, "float32").model
    seen = []
    for models in (8, 5, 2):
        card = models * size
        machine = Machine((Gpu("card", card, card),), 1 << 40, 1 << 40)
        told = plan_memory(plan("cuda:0"), *sides, machine)
        with PretendedCuda() as gpu:
            gpu.memory.limit = card
            engine = TransformersEngine.open(plan("cuda:0"), pair)
            live, mixes = gpu.memory.live, engine.capabilities.mixes_recipes
            del engine
        said = told.weights + told.sides + told.delta
        seen.append({"told": told.one_pass, "mixes": mixes, "said": said, "live": live})
    return {"seen": seen, "size": size}


def two_cards(folder: Path) -> Seen:
    """A model whose layers are split over two devices."""
    pair, wanted = tiny("qwen3", folder), requests()
    expected = tokens(TransformersEngine.open(plan("cpu", "in-place"), pair), wanted)

    def split(model: Any, _: Any) -> dict[str, str]:
        layers, (first, second) = model.config.num_hidden_layers, ("cuda:0", "cuda:1")
        names = {f"model.layers.{n}": second if n >= layers // 2 else first for n in range(layers)}
        ends = {"model.embed_tokens": first, "lm_head": first, "model.norm": second}
        return names | ends | {"model.rotary_emb": second}

    placed = place_over((1 << 30, 1 << 30), 1 << 20, 1 << 40)
    with (
        PretendedCuda(cards=2) as gpu,
        patch.object(pair_tensors, "place_pair", lambda *_, **__: placed),
        patch.object(pair_tensors, "device_map", split),
    ):
        engine = TransformersEngine.open(plan("cuda", "in-place"), pair)
        check = engine.self_check().passed
        weights = engine._strategies.in_place.model.parameters()
        cards = sorted({str(parameter.device) for parameter in weights})
        found = tokens(engine, wanted)
    return {"check": check, "cards": cards, "same": found == expected, "refused": gpu.refused}


def steps(folder: Path, fault: Callable[[], Any] | None = None) -> Seen:
    """Launches and waits of a step while nobody joins or leaves."""
    with PretendedCuda() as gpu, patch.object(Chat, "end_tokens", lambda *_: (1,)):
        engine = TransformersEngine.open(plan("cuda:0", "one-pass"), tiny("qwen3", folder))
        engine.add(requests(6, most=200))
        scheduler = engine._scheduler
        for _ in range(4):
            scheduler.advance()
        gpu.reset()
        with fault() if fault else nullcontext():
            for _ in range(8):
                scheduler.advance()
    waits = {where: count / 8 for where, count in gpu.waits.items()}
    return {"launches": gpu.launches / 8, "waits": waits, "copies": sum(gpu.copies.values()) / 8}


def host_tensor_left_behind(folder: Path) -> Seen:
    """A planted fault: positions that lie on the host."""
    real = BatchState.positions
    with PretendedCuda() as gpu:
        engine = TransformersEngine.open(plan("cuda:0"), tiny("qwen3", folder))
        with patch.object(BatchState, "positions", lambda self, n: real(self, n).cpu()):
            try:
                tokens(engine, requests(2))
            except RuntimeError as error:
                return {"error": type(error).__name__, "refused": gpu.refused}
    return {"error": None, "refused": gpu.refused}


def waits_at_each_step(folder: Path) -> Seen:
    """A planted fault: a value that is read on the host at each step."""
    real = Decoder.step

    def step(self: Decoder) -> None:
        real(self)
        self._state.last_tokens(1)[0].item()

    return steps(folder, lambda: patch.object(Decoder, "step", step))


SCENARIOS: dict[str, Callable[[Path], Seen]] = {
    "whole": whole,
    "memory-limit": memory_limit,
    "check-memory": check_memory,
    "planned": planned,
    "two-cards": two_cards,
    "steps": steps,
    "host-tensor": host_tensor_left_behind,
    "waits": waits_at_each_step,
    "pages": lambda folder: in_pages("qwen3", folder),
    "pages gemma2": lambda folder: in_pages("gemma2", folder),
    "broken-kernel": broken_kernel,
    "qwen3": lambda folder: family("qwen3", folder),
    "qwen3 from the host": lambda folder: family("qwen3", folder, ON_HOST),
    "gemma3": lambda folder: family("gemma3", folder),
    "qwen3_moe": lambda folder: family("qwen3_moe", folder),
    "phi3": lambda folder: family("phi3", folder),
}


def main() -> None:
    """Run the scenarios that are named and print what each has seen, as a line of JSON."""
    with tempfile.TemporaryDirectory() as folder:
        load_guard(Path(folder))
        for name in sys.argv[1:] or SCENARIOS:
            try:
                seen = SCENARIOS[name](Path(folder) / name.replace(" ", "-"))
            except Exception as error:
                seen = {"failed": f"{type(error).__name__}: {error}", "at": traceback.format_exc()}
            print(json.dumps({"name": name, **seen}), flush=True)


if __name__ == "__main__":
    main()
