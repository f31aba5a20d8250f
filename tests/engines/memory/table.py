"""The table of docs/engines.md: the plan of memory on machines that people have.

``python -m tests.engines.memory.table`` prints it. Sizes and configs are those that vendors and
model cards give; nothing was measured.
"""

from collections.abc import Iterator

from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.engines.memory.plan import MemoryPlan
from mi_tui.engines.memory.planner import plan_memory
from mi_tui.machine.resources import Machine
from mi_tui.plan.engine import EnginePlan, VllmOptions
from tests.engines.memory.machines import A100S, H100, H200, QWEN_4B, QWEN_30B_A3B, RTX_4090

MACHINES: dict[str, Machine] = {
    "RTX 4090 (24 GB)": RTX_4090,
    "4 × A100 (40 GB)": A100S,
    "H100 (80 GB)": H100,
    "H200 (141 GB)": H200,
}
PAIRS: dict[str, CheckpointInfo] = {"Qwen3-4B": QWEN_4B, "Qwen3-30B-A3B": QWEN_30B_A3B}
ENGINES: dict[str, EnginePlan] = {
    "transformers": EnginePlan(kind="transformers"),
    "vLLM": EnginePlan(kind="vllm"),
    "vLLM, fp8 cache": EnginePlan(kind="vllm", vllm=VllmOptions(kv_cache_dtype="fp8")),
}
LONG, SHORT = 81_920, 8_192
GIB = 1 << 30

_HEAD = (
    "GPUs", "pair", "engine", "how", "weights", "Δ", "both sides", "cache",
    f"of {LONG:,}", f"of {SHORT:,}", "largest cap",
)  # fmt: skip


def lines() -> Iterator[str]:
    """The table in Markdown; sizes in GiB on each GPU."""
    yield f"| {' | '.join(_HEAD)} |"
    yield "|" + "---|" * len(_HEAD)
    for card, machine in MACHINES.items():
        for pair, model in PAIRS.items():
            for engine, plan in ENGINES.items():
                if plan.vllm.kv_cache_dtype == "fp8" and machine is A100S:
                    continue  # it has no fp8
                found = plan_memory(plan, model, model, machine, cap=LONG)
                yield f"| {card} | {pair} | {engine} | {' | '.join(_cells(found))} |"


def _cells(found: MemoryPlan) -> list[str]:
    if not found.weights or found.weights + found.delta >= found.room:
        return ["does not fit", *["–"] * 7]
    way = "one pass" if found.one_pass else "in place"
    if found.gpus_each > 1:
        way += f" over {found.gpus_each} GPUs"
    if found.copies > 1:
        way += f", {found.copies} copies"
    sizes = [found.weights, found.delta, found.sides, found.cache]
    return [
        way,
        *(f"{size / GIB:.1f}" if size else "–" for size in sizes),
        f"{found.rows(LONG):,}" if found.fits else "refused",
        f"{found.rows(SHORT):,}",
        f"{found.longest:,}",
    ]


if __name__ == "__main__":
    print("\n".join(lines()))
