"""Probe kinds as extensions: nothing heavy is imported, and hashes stay what they were."""

import subprocess
import sys

import pytest

from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import PROBE_KINDS
from mi_tui.plan.toml import parse_preset, preset_text
from mi_tui.probes.freeze import freeze
from mi_tui.probes.probe_kind import probe_kinds
from mi_tui.probes.scoring.scorer import SCORERS

HEAD = 'title = "t"\n[pair]\ninstruct = "a"\nthinking = "b"\n'

KEYS = [
    (
        'problems = 8\nkind = "arithmetic"\noperations = [2, 3]\n',
        "f5596c860f4dc1eb",
        "aee1fcc3681725df",
    ),
    ('problems = 8\nkind = "word-problems"\n', "67b68af8e13f4600", "0751e27105c60c16"),
    (
        'problems = 8\nseed = 3\nkind = "multiple-choice"\n',
        "c52e87eb34799e35",
        "da69b5c8323d0c48",
    ),
    (
        'problems = 8\nweight = 2.0\nkind = "instructions"\n',
        "40887f71bb7d6cfc",
        "034ff4dac2750f2f",
    ),
    ('path = "a.jsonl"\nkind = "aime25"\n', "43f82deacbeaabf1", "4229cc3ba1b99237"),
    ('problems = 20\nkind = "ifeval"\n', "abd346e5e1f82a08", "67c83bdf02e6d33c"),
    (
        'name = "g"\nkind = "gpqa-diamond"\nsource = "x/y"\n',
        "7ae687fefb4eb1b5",
        "77d087761c185d44",
    ),
    (
        'kind = "file"\npath = "b.csv"\nscorer = "math"\nsystem = "s"\n',
        "432bdb1b2e561fd9",
        "43800bf076950104",
    ),
    (
        'kind = "lm-eval"\ntask = "gsm8k"\nfew_shot = 0\n',
        "1e6ac593d513e756",
        "c9800d5ed6fdcaad",
    ),
]


@pytest.mark.parametrize(("table", "preset_key", "probe_key"), KEYS)
def test_a_probe_keeps_its_text_and_its_key(table: str, preset_key: str, probe_key: str) -> None:
    preset = parse_preset(f"{HEAD}[[probes]]\n{table}", "mine.toml")
    assert (preset.key, preset.probes[0].key) == (preset_key, probe_key)
    assert preset_text(preset).endswith(f"[[probes]]\n{table}")
    assert Preset.from_json(preset.canonical_json()) == preset
    assert Preset.model_validate(preset.model_dump()) == preset


@pytest.mark.parametrize(
    ("table", "sha256"),
    [
        (KEYS[0][0], "d5db91cfeebe5f10ab51e3957cee44a84e2a09b6c3a805a2db85b343d18dab2b"),
        (KEYS[1][0], "f656e4cef55d2a18bdf3e698e8c2a6c33f3f55130890d7a8daf2f2fe8e9f9791"),
        (KEYS[2][0], "602427923725ab4a57f386791a71f28a85378a02c4fcaa253aa0dd2cb82715e8"),
        (KEYS[3][0], "2fad9b7ec71eb34e99074facad6dc3b26107a5e4caaa3a3826ca393df0e9ed84"),
    ],
)
def test_a_made_up_probe_keeps_its_problems(table: str, sha256: str) -> None:
    preset = parse_preset(f"{HEAD}[[probes]]\n{table}", "mine.toml")
    assert freeze(preset.probes[0]).sha256 == sha256


def test_every_kind_names_a_scorer_there_is() -> None:
    assert {kind.scorer for kind in probe_kinds()} <= {*SCORERS.names()}
    assert len({kind.title for kind in probe_kinds()}) == len(PROBE_KINDS.names())


def test_kinds_and_scorers_are_listed_without_a_heavy_import() -> None:
    code = (
        "import sys\n"
        "from mi_tui.plan.preset import Preset\n"
        "print([name for name in sys.modules if name.startswith('mi_tui.probes')])\n"
        "from mi_tui.plan.probe import PROBE_KINDS\n"
        "from mi_tui.probes.scoring.scorer import SCORERS\n"
        "assert PROBE_KINDS.names() and SCORERS.names()\n"
        "heavy = {'numpy', 'datasets', 'torch', 'pyarrow', 'math_verify', 'lm_eval', 'nltk'}\n"
        "print(sorted(heavy & {*sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n[]\n"
