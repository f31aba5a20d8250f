"""One change of λ in place against a plain copy of the same bytes.

``python benchmarks/switch.py [--mib 512] [--threads 1] [--device cpu]``

The sources are random tensors of a 0.6 B model's shapes, repeated up to the size asked for. A
switch reads two tensors and writes one; a copy reads one and writes one.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from mi_tui.engines.transformers.weights.in_place import interpolate_into

SHAPES = [(3072, 1024), (1024, 3072), (2048, 1024), (1024, 2048), (1024,), (1024, 1024)]


def tensors(total: int, dtype: torch.dtype, device: str) -> list[Tensor]:
    made: list[Tensor] = []
    while sum(t.nbytes for t in made) < total:
        made += [torch.randn(shape, dtype=dtype, device=device) for shape in SHAPES]
    return made


def seconds(act: Callable[[], None], device: str, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats + 1):
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        started = time.perf_counter()
        act()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print("| dtype | MiB | copy (s) | switch (s) | switch / copy |\n|---|---|---|---|---|")
    for dtype in (torch.float32, torch.bfloat16):
        instruct = tensors(given.mib << 20, dtype, given.device)
        thinking = [t + 0.01 for t in instruct]
        out = [t.clone() for t in instruct]

        def copy(out: list[Tensor] = out, source: list[Tensor] = instruct) -> None:
            for target, tensor in zip(out, source, strict=True):
                target.copy_(tensor)

        def switch(
            out: list[Tensor] = out, a: list[Tensor] = instruct, b: list[Tensor] = thinking
        ) -> None:
            for target, one, other in zip(out, a, b, strict=True):
                interpolate_into(target, one, other, 0.55)

        plain, mixed = seconds(copy, given.device), seconds(switch, given.device)
        size = sum(t.nbytes for t in out) >> 20
        name = str(dtype).removeprefix("torch.")
        print(f"| {name} | {size} | {plain:.3f} | {mixed:.3f} | {mixed / plain:.2f} × |")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
