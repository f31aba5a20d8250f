"""The page about probes: its tables say what kinds and scorers declare."""

from pathlib import Path

import pytest

from mi_tui.probes.benchmark import Benchmark
from mi_tui.probes.probe_kind import MADE_UP, probe_kinds
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "probes.md").read_text(encoding="utf-8")
LINES = PAGE.splitlines()
BENCHMARKS = [kind for kind in probe_kinds() if isinstance(kind, Benchmark)]


@pytest.mark.parametrize("kind", BENCHMARKS, ids=lambda kind: kind.name)
def test_the_page_has_each_benchmark_as_it_is_declared(kind: Benchmark) -> None:  # type: ignore[type-arg]
    fields = kind.plan.model_fields
    source = f"`{fields['source'].default}`{' (gated)' if kind.gated else ''}"
    cap = f"{fields['max_new_tokens'].default:,}"
    cells = (f"`{kind.name}`", source, f"{kind.records:,}", kind.prompt, kind.scoring, cap)
    assert f"| {' | '.join(cells)} |" in LINES
    assert f"- `{kind.name}`: {kind.columns}" in LINES


def test_the_page_has_each_made_up_kind_with_its_scorer() -> None:
    for kind in probe_kinds():
        if kind.group == MADE_UP:
            line = next(line for line in LINES if line.startswith(f"| `{kind.name}` |"))
            assert line.endswith(f"| `{kind.scorer}` |")
        assert f"`{kind.name}`" in PAGE or f'kind = "{kind.name}"' in PAGE


@pytest.mark.parametrize("scorer", [one for one in SCORERS if one.for_files], ids=lambda s: s.name)
def test_the_page_has_each_scorer_of_files_in_its_words(scorer: ScorerKind) -> None:
    assert f"| `{scorer.name}` | {scorer.about} |" in LINES
