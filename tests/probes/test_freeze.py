"""Probes frozen from their plans: deterministic, split by stratum, hashed."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mi_tui.plan.toml import PresetError, parse_preset, read_preset, write_preset
from mi_tui.probes.freeze import ProbeError, freeze
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe, Chain, is_held_out
from mi_tui.probes.problem import Probe, Problem
from mi_tui.probes.split import split


def test_the_same_plan_gives_the_same_hash_and_another_seed_another() -> None:
    plan = ArithmeticProbe(kind="arithmetic", problems=40)
    assert freeze(plan).sha256 == freeze(plan).sha256
    assert freeze(plan).sha256 != freeze(plan.model_copy(update={"seed": 1})).sha256


def test_a_frozen_probe_survives_json() -> None:
    probe = freeze(ArithmeticProbe(kind="arithmetic", problems=12))
    assert Probe.from_json(probe.to_json()) == probe


def test_arithmetic_problems_are_held_out_from_the_demo_pair() -> None:
    probe = freeze(ArithmeticProbe(kind="arithmetic", problems=50))
    for problem in probe.problems:
        expression = problem.messages[0]["content"].removeprefix("Compute ").split(" mod")[0]
        digits = expression.replace("+", " + ").replace("-", " - ").replace("*", " * ").split()
        steps = tuple(zip(digits[1::2], map(int, digits[2::2]), strict=True))
        chain = Chain(int(digits[0]), steps)
        assert is_held_out(chain)
        assert problem.answer == str(chain.answer)


def test_a_copy_that_was_not_validated_is_checked() -> None:
    plan = ArithmeticProbe(kind="arithmetic")
    assert len(freeze(plan.model_copy(update={"problems": None})).problems) == 100
    with pytest.raises(ProbeError, match="probe arithmetic: Input should be less than or equal"):
        freeze(plan.model_copy(update={"problems": 10**9}))


PRESET = """
title = "t"
[pair]
instruct = "a"
thinking = "b"
[[probes]]
"""


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('kind = "quiz"', "'word-problems', 'multiple-choice', 'instructions', 'arithmetic'"),
        ('kind = "arithmetic"\noperations = [1]', "operations.0 = 1"),
        ('kind = "arithmetic"\nproblems = "3"', 'problems = "3"'),
        ('kind = "word-problems"\ndifficulty = [6]', "difficulty.0 = 6"),
        ('kind = "gpqa-diamond"\nshuffle = true', "unknown key probes.0.gpqa-diamond.shuffle"),
        ('kind = "file"\npath = "a.csv"\nscorer = "bleu"', "should be 'exact', 'integer', 'math'"),
        ('kind = "lm-eval"', "either task, a name, or path, a YAML file"),
        ('kind = "lm-eval"\ntask = "a"\npath = "b"', "either task, a name, or path"),
    ],
)
def test_a_probe_in_a_preset_is_read_strictly(toml: str, message: str) -> None:
    with pytest.raises(PresetError) as caught:
        parse_preset(PRESET + toml, "mine.toml")
    assert message in str(caught.value)


def test_every_kind_survives_being_written_to_a_preset(tmp_path: Path) -> None:
    kinds = """
        kind = "arithmetic"|kind = "word-problems"|kind = "multiple-choice"|kind = "instructions"
        |kind = "aime25"\npath = "a.jsonl"|kind = "ifeval"|kind = "gpqa-diamond"\nproblems = 50
        |kind = "file"\npath = "b.csv"\nscorer = "math"|kind = "lm-eval"\ntask = "gsm8k"
    """
    tables = "[[probes]]\n".join(f"{kind.strip()}\n" for kind in kinds.split("|"))
    preset = parse_preset(PRESET + tables, "mine.toml")
    assert len({probe.kind for probe in preset.probes}) == 9
    write_preset(preset, tmp_path / "mine.toml")
    assert read_preset(tmp_path / "mine.toml") == preset


def problems_of(strata: list[str]) -> list[Problem]:
    return [Problem(str(i), (), "", stratum=name) for i, name in enumerate(strata)]


@given(
    st.lists(st.sampled_from("abc"), min_size=2, max_size=60),
    st.floats(0.01, 0.99),
    st.integers(0, 5),
)
def test_every_stratum_keeps_the_share(strata: list[str], share: float, seed: int) -> None:
    parts = split(problems_of(strata), share, seed)
    assert [problem.id for problem in parts] == [str(i) for i in range(len(strata))]
    held_out = Counter(p.stratum for p in parts if p.split == "held-out")
    total = sum(held_out.values())
    assert 1 <= total <= len(strata) - 1
    assert abs(total - share * len(strata)) <= 1
    for name, size in Counter(strata).items():
        assert abs(held_out[name] - total * size / len(strata)) < 1


def test_no_share_holds_nothing_out() -> None:
    assert all(p.split == "search" for p in split(problems_of(["a"] * 9), 0.0, 0))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_split_depends_on_the_seed_alone(seed: int) -> None:
    problems = problems_of(["a"] * 30)
    assert split(problems, 0.3, seed) == split(problems, 0.3, seed)
    assert split(problems, 0.3, seed) != split(problems, 0.3, seed + 1)
