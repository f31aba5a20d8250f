"""One real server with λ per request, shared by the tests that need it."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.live import Merged, a_preset, serving


@pytest.fixture(scope="session")
def needs_vllm() -> None:
    """Skip the test where vLLM is not installed."""
    if importlib.util.find_spec("vllm") is None:
        pytest.skip("needs vLLM: make test-serve")


@pytest.fixture(scope="session")
def preset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_preset(tmp_path_factory.mktemp("preset"))


@pytest.fixture(scope="session")
def server(
    needs_vllm: None, preset: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    with serving(tmp_path_factory.mktemp("serve") / "log", str(preset)) as running:
        yield running


@pytest.fixture(scope="session")
def address(server: tuple[str, int]) -> str:
    return server[0]


@pytest.fixture(scope="session")
def merged() -> Merged:
    return Merged()
