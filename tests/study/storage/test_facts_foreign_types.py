"""Facts of a study with values of any type in any place: read, or refused in one line."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mi_tui.errors import MiTuiError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.store import Store
from tests.checkpoints.test_inspect_foreign_types import ODD, changed, places, values

STUDIES = Path(__file__).with_name("old_studies")
PROPERTIES = tuple(name for name, of in vars(Facts).items() if isinstance(of, property))


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The facts of a study that has ended, by their keys."""
    file = tmp_path_factory.mktemp("study") / "study.db"
    file.write_bytes(gzip.decompress((STUDIES / "schema-5.db.gz").read_bytes()))
    with Store(file) as store:
        return store.get_many()


def read_all(facts: dict[str, Any]) -> int:
    """Read every property; returns how many were refused."""
    refused: list[str] = []
    found = Facts(facts, Path("study"))
    for name in PROPERTIES:
        try:
            getattr(found, name)
        except MiTuiError as error:
            refused.append(str(error))
    assert all(len(said.splitlines()) == 1 for said in refused)
    return len(refused)


def test_the_facts_as_they_are_can_be_read(facts: dict[str, Any]) -> None:
    assert {"preset", "progress", "recommendation", "weights", "latency"} <= set(facts)
    assert len(PROPERTIES) > 15
    assert read_all(facts) == 0


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(
    facts: dict[str, Any], data: st.DataObject
) -> None:
    key = data.draw(st.sampled_from(sorted(facts)))
    way = data.draw(st.sampled_from(sorted(set(places(facts[key])), key=repr)))
    read_all({**facts, key: changed(facts[key], way, data.draw(values))})


@given(kind=st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2))
@example(kind="\ud83d")
@settings(max_examples=5)
def test_half_a_character_for_a_probe_is_refused(facts: dict[str, Any], kind: str) -> None:
    preset = changed(facts["preset"], ("probes", 0, "kind"), kind)
    with pytest.raises(MiTuiError, match="kind"):
        _ = Facts({**facts, "preset": preset}, Path("study")).preset


@pytest.mark.slow
def test_each_odd_value_in_each_place_is_read_or_refused(facts: dict[str, Any]) -> None:
    refused = 0
    for key, value in facts.items():
        for way in places(value, 4):
            for odd in ODD:
                refused += read_all({**facts, key: changed(value, way, odd)})
    assert refused > 100
