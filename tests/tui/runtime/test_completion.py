"""Completion of checkpoints: names from the cache and the disk, and the likely partner."""

from pathlib import Path

import pytest

from mi_tui.tui.runtime.completion import CheckpointSuggester, cached_models, partner


@pytest.mark.parametrize(
    ("instruct", "likely"),
    [
        ("Qwen/Qwen3-4B-Instruct-2507", "Qwen/Qwen3-4B-Thinking-2507"),
        ("./qwen-instruct", "./qwen-thinking"),
        ("bundled:instruct", "bundled:thinking"),
        ("Qwen/Qwen3-4B-Thinking-2507", "Qwen/Qwen3-4B-Instruct-2507"),
        ("MODEL-INSTRUCT", "MODEL-THINKING"),
        ("google/gemma-3-4b-it", "google/gemma-3-4b-thinking"),
        ("bundled:thinking", "bundled:instruct"),
        ("bundled:base", None),
        ("a/Llama-8B-Items", None),
        ("meta-llama/Llama-3-8B", None),
    ],
)
def test_the_likely_partner(
    instruct: str, likely: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert partner(instruct) == likely


def test_a_partner_that_is_here_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert partner("a/B-Instruct-1") == "a/B-Thinking-1"
    (tmp_path / "models--a--B-Reasoning-2").mkdir()
    assert partner("a/B-Instruct-1") == "a/B-Reasoning-2"
    for name in ("X-Instruct", "X-Thinking-v2"):
        (tmp_path / name).mkdir()
    assert partner(f"{tmp_path}/X-Instruct") == f"{tmp_path}/X-Thinking-v2"


async def test_names_complete_from_cache_and_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--Qwen--Qwen3-4B--x").mkdir()
    (tmp_path / "datasets--a--b").mkdir()
    assert cached_models() == ["Qwen/Qwen3-4B--x"]
    suggester = CheckpointSuggester()
    assert await suggester.get_suggestion("Qw") == "Qwen/Qwen3-4B--x"
    assert await suggester.get_suggestion("bundled:t") == "bundled:thinking"
    assert (
        await suggester.get_suggestion(f"{tmp_path}/mod") == f"{tmp_path}/models--Qwen--Qwen3-4B--x"
    )
    assert await suggester.get_suggestion("/no/such/folder/x") is None
    assert await suggester.get_suggestion("") is None
