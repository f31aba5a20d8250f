"""The engine on a pretended CUDA device: placed right, waits seldom, and goes on when memory ends.

The last two tests plant a fault and show that the device notices it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.pretended_cuda.guard import why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be had")

Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What all scenarios have seen, from one process."""
    root = Path(__file__).parents[2]
    ran = subprocess.run(
        [sys.executable, "-m", "tests.pretended_cuda.scenarios"],
        cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, (ran.returncode, ran.stderr[-2000:])
    found = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    return {scenario["name"]: scenario for scenario in found}


def test_load_check_calibrate_decode_export_and_cancel(seen: Seen) -> None:
    whole = seen["whole"]
    assert "failed" not in whole, whole["at"]
    assert whole["check"]
    assert whole["concurrencies"] == [4]
    assert whole["costs"] == [1, 4, 6]
    assert (whole["decoded"], whole["exported"], whole["left"]) == (12, 1, 4)
    assert not whole["refused"]


@pytest.mark.parametrize("family", ["qwen3", "gemma3", "qwen3_moe", "phi3"])
def test_a_family_gives_the_tokens_of_the_cpu(seen: Seen, family: str) -> None:
    found = seen[family]
    assert "failed" not in found, found["at"]
    assert found["check"]
    assert found["same"]
    assert found["one_pass"]
    assert not found["refused"]


def test_weights_in_the_hosts_memory_give_the_tokens_of_the_cpu(seen: Seen) -> None:
    found = seen["qwen3 from the host"]
    assert "failed" not in found, found["at"]
    assert found["check"]
    assert found["same"]
    assert not found["one_pass"]
    assert not found["refused"]


def test_a_model_over_two_cards_gives_the_tokens_of_the_cpu(seen: Seen) -> None:
    found = seen["two-cards"]
    assert "failed" not in found, found["at"]
    assert found["check"]
    assert found["cards"] == ["cuda:0", "cuda:1"]
    assert found["same"]
    assert not found["refused"]


def test_half_precision_holds_keys_and_values_in_pages(seen: Seen) -> None:
    found = seen["pages"]
    assert "failed" not in found, found["at"]
    assert found["check"], found["said"]
    assert found["pages"]
    assert found["one_pass"]
    assert found["done"] == 6
    assert "as long for all" not in found["note"]
    assert not found["refused"]


def test_a_model_that_the_kernel_does_not_know_has_one_block_and_says_why(seen: Seen) -> None:
    found = seen["pages gemma2"]
    assert "failed" not in found, found["at"]
    assert found["check"], found["said"]
    assert not found["pages"]
    assert "the cache is as long for all responses as for the longest: scores" in found["note"]


def test_a_kernel_that_computes_something_else_gives_way_to_one_block(seen: Seen) -> None:
    found = seen["broken-kernel"]
    assert "failed" not in found, found["at"]
    assert found["check"], found["said"]
    assert not found["pages"]
    assert "with pages, responses differ" in found["note"]
    assert found["done"] == 6


def test_the_plan_of_memory_is_what_lies_on_the_card(seen: Seen) -> None:
    """One pass with both sides; in place with both; in place from the host."""
    found = seen["planned"]
    assert "failed" not in found, found["at"]
    size = found["size"]
    for card, models, one_pass in zip(found["seen"], (5, 3, 1), (True, False, False), strict=True):
        assert (card["told"], card["mixes"]) == (one_pass, one_pass)
        assert card["said"] == models * size
        assert abs(card["live"] - card["said"]) < size / 10


def test_a_full_card_ends_no_study_and_changes_no_token(seen: Seen) -> None:
    found = seen["memory-limit"]
    assert "failed" not in found, found["at"]
    assert found["resizes"]
    assert found["same"]
    assert not found["refused"]


def test_a_full_card_lessens_the_self_check_in_so_many_words(seen: Seen) -> None:
    found = seen["check-memory"]
    assert "failed" not in found, found["at"]
    assert found["refusals"]
    assert found["check"], found["said"]
    assert "one pass leaves too little memory for its self-check" in found["note"]
    assert not found["refused"]


def test_a_step_never_waits_for_the_device(seen: Seen) -> None:
    found = seen["steps"]
    assert "failed" not in found, found["at"]
    assert found["launches"] > 0
    assert not found["waits"]


def test_a_tensor_left_on_the_host_is_refused(seen: Seen) -> None:
    assert seen["host-tensor"]["error"] == "MixedDevicesError"
    assert seen["host-tensor"]["refused"]


def test_a_wait_at_each_step_is_counted(seen: Seen) -> None:
    planted, usual = (sum(seen[name]["waits"].values()) for name in ("waits", "steps"))
    assert planted == usual + 1
