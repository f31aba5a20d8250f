"""More than makes sense, or than the machine can do, is refused before the start, everywhere."""

import time
from pathlib import Path

import pytest

from mi_tui.api.study import Study
from mi_tui.plan.engine import EnginePlan, VllmOptions
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import interpolation
from mi_tui.plan.toml import write_preset
from mi_tui.study.bounds import (
    BoundError,
    Host,
    excesses,
    require_bounds,
    require_concurrency,
    require_samples,
)
from mi_tui.study.control import create_study
from mi_tui.study.storage.folder import StudyFolder
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState
from mi_tui.study.worker.process import work
from mi_tui.tui.forms.draft import draft_of
from mi_tui.tui.forms.draft_reader import check
from tests.cli.command import command
from tests.study.presets import small_preset
from tests.study.stored import stored_study

HOST = Host(cores=2, gpus=0, memory=8 << 30)
MANY = tuple(i / 2000 for i in range(1002))


@pytest.fixture(autouse=True)
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MI_TUI_STUDIES", str(tmp_path / "studies"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def with_engine(**options: object) -> Preset:
    return small_preset().model_copy(update={"engine": EnginePlan.model_validate(options)})


def with_probe(**options: object) -> Preset:
    small = small_preset()
    return small.model_copy(update={"probes": (small.probes[0].model_copy(update=options),)})


EXCESSIVE = {
    "samples": (small_preset(samples=10**9), "samples", "10,000"),
    "λ": (small_preset(grid=MANY), "grid", "1,001"),
    "recipes": (
        small_preset().model_copy(
            update={"recipes": tuple(interpolation(i / 2000) for i in range(1001))}
        ),
        "recipes",
        "1,000",
    ),
    "cap": (with_probe(max_new_tokens=10**12), "cap-0", "10,000,000"),
    "samples of a probe": (with_probe(samples=10**9), "problems-0", "10,000"),
    "rollouts in all": (small_preset(problems=5000, samples=10_000), "samples", "100,000,000"),
    "processes": (with_engine(processes=64), "title", "64 on 2 cores, at most 2"),
    "threads": (with_engine(threads=10**6), "title", "at most 4 for each core"),
    "batch": (with_engine(batch=10**9), "title", "16,384"),
    "ranks": (
        with_engine(kind="vllm", vllm=VllmOptions(tensor_parallel_size=1000)),
        "title",
        "1,000 ranks",
    ),
}


@pytest.mark.parametrize("name", EXCESSIVE)
def test_each_bound_is_named_with_its_field(name: str) -> None:
    preset, field, words = EXCESSIVE[name]
    found = excesses(preset, HOST)
    assert field in {each.field for each in found}
    assert any(words in each.message for each in found if each.field == field)


def test_what_makes_sense_is_let_through() -> None:
    thousand = tuple(i / 1000 for i in range(1001))
    for preset in (
        small_preset(),
        small_preset(problems=100, samples=64),
        small_preset(grid=thousand),
        with_engine(processes=2, threads=2),
        with_probe(max_new_tokens=1_000_000),
    ):
        assert excesses(preset, HOST) == ()
    assert excesses(with_engine(processes=8), Host(2, 8, 64 << 30)) == ()


def test_memory_bounds_questions_and_processes() -> None:
    small = Host(cores=2, gpus=0, memory=400 << 20)
    (found,) = excesses(with_engine(processes=2), small)
    assert "600 MiB of memory before they load anything" in found.message
    (found,) = excesses(small_preset(problems=3000, samples=1000), small)
    assert "of memory to plan" in found.message


def test_problems_that_were_drawn_count() -> None:
    open_ended = with_probe(problems=None)
    assert excesses(open_ended, HOST) == ()
    drawn = {"arithmetic": 10**9}
    assert excesses(open_ended, HOST, drawn)
    with pytest.raises(BoundError):
        require_bounds(open_ended, drawn)


@pytest.mark.parametrize("name", ["samples", "processes", "λ"])
def test_preset_command_python_and_worker_refuse_alike(name: str, tmp_path: Path) -> None:
    """In one line, within a moment, and with nothing left behind."""
    preset, _, _ = EXCESSIVE[name]
    write_preset(preset, tmp_path / "much.toml")
    began = time.monotonic()
    said = set()
    for arguments in (("presets",), ("run", "--study", str(tmp_path / "study")), ("doctor",)):
        file = str(tmp_path / "much.toml")
        at = ["--preset", file] if arguments == ("doctor",) else [file]
        done = command(arguments[0], *at, *arguments[1:])
        assert done.returncode == 2
        (line,) = done.stderr.strip().splitlines()
        said.add(line)
    assert len(said) == 1
    with pytest.raises(BoundError):
        Study.create(preset, tmp_path / "study")
    assert not (tmp_path / "study").exists()
    path = create_study(preset, tmp_path / "theirs")  # as a study of others would hold it
    assert work(StudyFolder(path)) is StudyState.FAILED
    with Study.load(path) as study:
        assert study.view().message in said.pop()
    assert time.monotonic() - began < 30


def test_the_form_shows_the_bound_at_its_field() -> None:
    for name, field in (("samples", "samples"), ("λ", "grid"), ("cap", "cap-0")):
        checked = check(draft_of(EXCESSIVE[name][0]))
        assert checked.preset is None
        assert "at most" in checked.problems[field]


def test_confirm_is_bounded_before_anything_is_asked(tmp_path: Path) -> None:
    path = stored_study(tmp_path / "study")
    for options in (("--samples", "1000000000"), ("--concurrency", "1000000")):
        done = command("confirm", str(path), "--endpoint", "http://127.0.0.1:9", *options)
        assert done.returncode == 2
        assert "write a number from 1 to" in done.stderr
    require_samples(64)
    require_concurrency(8)
    with pytest.raises(BoundError):
        require_concurrency(0)


def test_more_samples_are_bounded_where_they_are_asked_for_and_where_they_are_read(
    tmp_path: Path,
) -> None:
    path = stored_study(tmp_path / "study")
    with Study.load(path) as study:
        key = study.store.recipes()[0].key
        with pytest.raises(BoundError):
            study.request("more", recipe=key, samples=10**9)
    with Store(path / "study.db") as store:  # as somebody else may have left it
        store.leave_request("more", {"recipe": key, "samples": 10**9})
    from mi_tui.study.worker.requests import Requests

    with Store(path / "study.db") as store:
        Requests(store, None, None, None).handle()  # type: ignore[arg-type]  # not used by this one
        assert store.open_requests() == []
        assert "not done, more" in store.log_lines()[-1][2]
