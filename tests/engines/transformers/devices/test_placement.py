"""What goes to the device follows from what is free there."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, Qwen3Config

from mi_tui.engines.protocol import EngineError
from mi_tui.engines.transformers.devices.placement import place, place_on_cpu

GIB = 1 << 30


@pytest.mark.parametrize(
    ("model", "free", "host", "pair_tensors", "one_pass", "pinned"),
    [
        (8, 80, 64, True, True, False),
        (8, 40, 64, True, False, False),
        (8, 24, 64, False, False, True),
        (60, 70, 256, False, False, True),
        (60, 70, 128, False, False, False),
    ],
)
def test_as_much_as_fits(
    model: int, free: int, host: int, pair_tensors: bool, one_pass: bool, pinned: bool
) -> None:
    placement = place(model * GIB, free * GIB, host * GIB)
    assert (placement.pair_tensors, placement.one_pass, placement.pinned) == (
        pair_tensors,
        one_pass,
        pinned,
    )
    assert bool(placement.reason) != one_pass


@pytest.mark.parametrize(
    ("row", "pair_tensors", "one_pass"),
    [(0, True, True), (43, True, True), (44, True, False), (50, True, False), (51, False, False)],
)
def test_room_is_left_for_the_longest_response(
    row: int, pair_tensors: bool, one_pass: bool
) -> None:
    """Nine tenths of what the weights leave of 80 GiB: of 48, of 56, of 72."""
    found = place(8 * GIB, 80 * GIB, 64 * GIB, row=row * GIB)
    assert (found.pair_tensors, found.one_pass) == (pair_tensors, one_pass)
    said = "one pass leaves no room for the longest response" in found.words
    assert said == (not one_pass)
    assert place_on_cpu(8 * GIB, 80 * GIB, row=57 * GIB).one_pass
    assert not place_on_cpu(8 * GIB, 80 * GIB, row=58 * GIB).one_pass


def test_a_model_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EngineError, match=r"60 GiB"):
        place(60 * GIB, 48 * GIB, 512 * GIB)


def test_a_cpu_gives_up_one_pass_before_it_gives_up() -> None:
    assert place_on_cpu(8 * GIB, 32 * GIB).one_pass
    only_in_place = place_on_cpu(8 * GIB, 20 * GIB)
    assert not only_in_place.one_pass
    assert "16 GiB" in only_in_place.reason
    with pytest.raises(EngineError, match=r"8 GiB"):
        place_on_cpu(8 * GIB, 8 * GIB)


def test_a_pair_used_as_it_is_stored_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    """Anonymous memory of a fresh process: mapped files do not count, copies would."""
    config = Qwen3Config(
        vocab_size=16384,
        hidden_size=512,
        intermediate_size=512,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        tie_word_embeddings=True,
    )
    for side in ("instruct", "thinking"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
        model.save_pretrained(tmp_path / side)
    model_mib, mapped, converted = anonymous_mib(tmp_path)
    assert model_mib > 30
    assert mapped < 0.25 * model_mib
    assert converted > 1.5 * model_mib / 2


SCRIPT = """
import gc, re, sys
from pathlib import Path
import torch
from mi_tui.engines.transformers.model.pair_tensors import PairTensors
from mi_tui.plan.pair import Pair

def anonymous():
    gc.collect()
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\\s+(\\d+)", status).group(1)) / 1024

def pair(dtype, other="thinking"):
    folder, cpu = Path(sys.argv[1]), torch.device("cpu")
    sides = Pair(instruct=str(folder / "instruct"), thinking=str(folder / other))
    return PairTensors.load(sides, dtype=dtype, device=cpu)

pair(torch.float32, "instruct")  # once for what loading allocates for itself
for dtype in (torch.float32, torch.bfloat16):
    before = anonymous()
    pair_tensors = pair(dtype)
    if dtype == torch.float32:
        print(pair_tensors.bytes / 2**20)
    print(anonymous() - before)
"""


def anonymous_mib(folder: Path) -> tuple[float, float, float]:
    """The size of one model, and what the pair takes as it is stored and in another dtype."""
    if not Path("/proc/self/status").exists():
        pytest.skip("anonymous memory is read from /proc")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder)], capture_output=True, text=True, check=True
    )
    model, mapped, converted = map(float, done.stdout.split())
    return model, mapped, converted
