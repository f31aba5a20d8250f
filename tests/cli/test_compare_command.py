"""The command on flips, on a study whose rollouts are stored: as a table and as JSON."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from mi_tui.plan.recipe import interpolation
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.records import PlannedAsk
from mi_tui.study.storage.store import Store
from tests.cli.command import command
from tests.study.presets import small_preset
from tests.study.storage.test_store import a_probe, a_rollout

LAMBDAS = (0.0, 0.6, 1.0)
SCORES = {
    # of problem 0, 1, 2 under each λ: two samples each
    0.0: ((0, 0), (1, 1), (0, 0)),
    0.6: ((1, 0), (0, 0), (0, 0)),
    1.0: ((1, 1), (1, 1), (None, None)),
}


@pytest.fixture
def study(tmp_path: Path) -> str:
    """Three problems under three λ; problem 0 is fixed against λ = 0, problem 1 broken."""
    path = tmp_path / "study"
    create_study(small_preset(), path)
    with Store(StudyFolder(path).database) as store:
        store.add_probes([a_probe(problems=4)])
        places = {value: store.recipe_index(interpolation(value)) for value in LAMBDAS}
        asks = [
            PlannedAsk(places[value], problem, sample, sample + 1)
            for value in LAMBDAS
            for problem in range(3)
            for sample in range(2)
        ]
        store.plan_round([(ask.recipe, ask.problem, ask.sample) for ask in asks])
        by_place = {place: value for value, place in places.items()}
        store.add_rollouts(
            [
                replace(a_rollout(ask), score=SCORES[by_place[ask.recipe]][ask.problem][ask.sample])
                for ask in asks
            ]
        )
        store.put(state="done")
    return str(path)


def test_flips_are_shown_and_printed_as_json(study: str) -> None:
    shown = command("flips", study, "--row", "MI-0.6").stdout
    assert "Flips of MI-0.6" in shown
    assert "2 responses were not scored" in " ".join(shown.split())
    data = json.loads(command("flips", study, "--row", "MI-0.6", "--json").stdout)
    of_problem = [one["flips"] for one in data["problems"]]
    assert of_problem == [
        {"MI-0": "fixed", "MI-1": "always"},
        {"MI-0": "broken", "MI-1": "broken"},
        {"MI-0": "never", "MI-1": "unknown"},
    ]
    assert data["problems"][2]["answers"]["MI-1"] == {
        "score": None,
        "samples": 0,
        "not_scored": 2,
    }
    counts = data["against"][0]["groups"][0]
    assert (counts["fixed"], counts["broken"], counts["never"]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--row", "MI-0.7"], "no row has 'MI-0.7'"),
        (["--only", "better"], "--only better: write one of fixed, broken, always, never, unknown"),
        ([], "recommends nothing: name a row of its table"),
    ],
)
def test_what_cannot_be_shown_is_one_line(study: str, arguments: list[str], told: str) -> None:
    done = command("flips", study, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_table_is_shown_by_probe_and_by_stratum(study: str) -> None:
    shown = command("table", study, "--by", "probe").stdout
    assert "· 3 problems" in shown
    assert shown.count("MI-0.6") == 1
    data = json.loads(command("table", study, "--by", "stratum", "--json").stdout)
    assert [row["label"] for row in data[0]["table"]] == ["MI-0", "MI-0.6", "MI-1"]
    assert "--by level: write probe or stratum" in command("table", study, "--by", "level").stderr
    both = command("table", study, "--by", "probe", "--paired")
    assert "leave --paired and --against out" in both.stderr
