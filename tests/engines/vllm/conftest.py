"""Engines on vLLM for the tests that need the real thing; skipped where it is not installed."""

import importlib.util
from collections.abc import Iterator

import pytest

from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Engine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair

DEMO = Pair(instruct="bundled:instruct", thinking="bundled:thinking", base="bundled:base")


@pytest.fixture(scope="session")
def needs_vllm() -> None:
    """Skip the test where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("needs vLLM: make test-vllm")


@pytest.fixture(scope="session")
def demo(needs_vllm: None) -> Iterator[Engine]:
    """The bundled pair in one pass, float32, one thread; shared by the tests."""
    engine = open_engine(EnginePlan(kind="vllm", threads=1, batch=64), DEMO)
    yield engine
    engine.close()
