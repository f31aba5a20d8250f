"""Services of the app: the rest of the program, imported at the first use.

One class, so that the first screen is drawn before anything heavy is loaded, and so that tests
can put an app over a study of their own.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mi_tui.analysis.results import Recommendation
from mi_tui.checkpoints.checks.findings import Finding
from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import Budget
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.library import PresetEntry, find_preset, list_presets, user_presets_folder
from mi_tui.plan.pair import Pair
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.toml import PresetError, write_preset
from mi_tui.plan.until import Until
from mi_tui.probes.text import safe_text
from mi_tui.study.storage.records import RequestKind
from mi_tui.study.view import StudyEntry, StudyPreview
from mi_tui.tui.forms.draft import proposed
from mi_tui.tui.studies.reader import Reader
from mi_tui.tui.studies.responses import ProblemText

if TYPE_CHECKING:
    from mi_tui.api.comparison import StudiesComparison
    from mi_tui.checkpoints.network import Network
    from mi_tui.checkpoints.relative_gap import Gap
    from mi_tui.engines.choice import EngineChoice
    from mi_tui.plan.remote_code import RemoteCode
    from mi_tui.probes.probe_kind import Proposal
    from mi_tui.study.known_speeds import KnownSpeed
    from mi_tui.study.listing import StudyListing


class CopyError(MiTuiError):
    """A copy that cannot be written."""


class Services:
    """The program behind the screens."""

    def __init__(self) -> None:
        self._gaps: dict[tuple[str, str], Gap] = {}
        self._listing: StudyListing | None = None

    def presets(self) -> tuple[PresetEntry, ...]:
        """The bundled presets and the user's, bad files named."""
        return list_presets()

    def demo_preset(self) -> Preset:
        """The preset of the bundled pair.

        Raises:
            PresetError: the file is not there or not valid.
        """
        return find_preset("demo")[1]

    def studies(self) -> tuple[StudyEntry, ...]:
        """The studies in the user's studies folder, the newest first."""
        from mi_tui.study.listing import StudyListing

        if self._listing is None:
            self._listing = StudyListing()
        return self._listing.entries()

    def reader(self, path: Path) -> Reader:
        """Open a study for reading."""
        from mi_tui.api.study import Study

        return Study.load(path)

    def problems(self, path: Path) -> tuple[ProblemText, ...]:
        """What a study asks, in the order of the problems' indices."""
        from mi_tui.api.study import Study

        with Study.load(path) as study:
            return tuple(
                ProblemText(
                    safe_text(problem.id, 40),
                    safe_text(problem.messages[-1]["content"], 4000),
                    safe_text(problem.answer, 200),
                )
                for problem in study.problems()
            )

    def create_and_start(self, preset: Preset, name: str = "") -> Path:
        """Make a study of the preset and start its worker; its directory.

        Without a name it gets the proposed one, with a number where that is taken.

        Raises:
            MiTuiError: the pair cannot be mixed, the name is taken, or it cannot be written.
        """
        from mi_tui.api.study import Study
        from mi_tui.study.storage.folder import free_path

        chosen = name or free_path(proposed(preset)).name
        with Study.create(preset, name=chosen) as study:
            return study.start().path

    def allow(self, codes: Sequence["RemoteCode"]) -> None:
        """Keep the user's consent to code of others.

        Raises:
            MiTuiError: it cannot be kept.
        """
        from mi_tui.plan.remote_code import allow

        allow(codes)

    def preview(self, path: Path) -> StudyPreview:
        """What a study asks and what has come of it, without its rollouts.

        Raises:
            StudyError: the study cannot be read.
        """
        from mi_tui.study.storage.facts import Facts
        from mi_tui.study.storage.folder import StudyFolder
        from mi_tui.study.storage.store import Store

        with Store(StudyFolder(path).database, reading=True) as store:
            facts = Facts.of(store)
        return StudyPreview(facts.preset, facts.recommendation)

    def annotate(self, path: Path, text: str) -> None:
        """Note something about a study.

        Raises:
            StudyError: the text is too long, or it cannot be written.
        """
        from mi_tui.study.storage.note import write_note

        write_note(path, text)

    def rename(self, path: Path, name: str) -> Path:
        """Give a study another name; its new directory.

        Raises:
            StudyError: the name is taken, or a worker is at it.
        """
        from mi_tui.study.management import rename_study

        return rename_study(path, name)

    def delete(self, path: Path) -> None:
        """Delete a study; a worker at it is stopped first.

        Raises:
            StudyError: it cannot be deleted.
        """
        from mi_tui.study.management import delete_study

        delete_study(path)

    def preset_of(self, path: Path) -> Preset:
        """The preset of a study.

        Raises:
            StudyError: the study cannot be read.
        """
        from mi_tui.api.study import Study

        with Study.load(path) as study:
            return study.preset

    def compare(self, paths: Sequence[Path]) -> "StudiesComparison":
        """Studies side by side.

        Raises:
            MiTuiError: one of them cannot be read.
        """
        from mi_tui.api.comparison import compare_studies

        return compare_studies(paths)

    def request(self, path: Path, kind: RequestKind, **data: Any) -> None:
        """Leave a request for the study's worker."""
        from mi_tui.api.study import Study

        with Study.load(path) as study:
            study.request(kind, **data)

    def go_on(self, path: Path) -> None:
        """Let a paused study go on, or start the worker of one that has none."""
        from mi_tui.api.study import Study

        with Study.load(path) as study:
            study.resume()

    def extend(self, path: Path, until: Until, budget: Budget | None) -> None:
        """Let a study that has ended go on.

        Raises:
            MiTuiError: a worker is at it, or it is that far, or settled, already.
        """
        from mi_tui.api.study import Study

        with Study.load(path) as study:
            study.extend(until, budget=budget)

    def preflight(
        self,
        pair: Pair,
        engine: EnginePlan | None = None,
        *,
        cap: int | None = None,
        loading: bool = False,
    ) -> tuple[Finding, ...]:
        """What fits, what differs and what the engine will do; one error line if unreadable.

        ``cap`` is the longest response, in tokens. With ``loading`` transformers is asked, too,
        which takes some seconds.
        """
        from mi_tui.api.checkpoints import examine

        try:
            report = examine(
                [side for side in (pair.instruct, pair.thinking, pair.base) if side],
                trust_remote_code=pair.trust_remote_code,
                engine=engine,
                cap=cap,
                loading=loading,
            )
        except MiTuiError as error:
            return (Finding("error", "checkpoint", str(error)),)
        return report.findings

    def engine_choice(self, preset: Preset) -> "EngineChoice | None":
        """The engine that would run a preset here, and its memory; ``None`` where it is unknown.

        Why that is so, the Models step says.
        """
        from mi_tui.study.preflight import engine_for

        try:
            return engine_for(preset)
        except MiTuiError:
            return None

    def network(self, pair: Pair) -> "Network":
        """The layers and modules of a pair, from headers alone.

        Raises:
            MiTuiError: the Thinking side cannot be found or read.
        """
        from mi_tui.checkpoints.inspect import inspect
        from mi_tui.checkpoints.locate import locate
        from mi_tui.checkpoints.network import network_of

        return network_of(inspect(locate(pair.thinking, weights=False)))

    def measure_gap(
        self,
        pair: Pair,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> "Gap":
        """Measure σ of a pair in a process of its own; ``progress`` is told bytes done and in all.

        Raises:
            MiTuiError: the weights are not on this machine or cannot be read, or it was cancelled.
        """
        from mi_tui.checkpoints.relative_gap_process import measure_gap

        gap = measure_gap(pair.instruct, pair.thinking, progress, cancelled)
        self._gaps[pair.instruct, pair.thinking] = gap
        return gap

    def known_gap(self, pair: Pair) -> "Gap | None":
        """σ of a pair if it was measured since the app was started."""
        return self._gaps.get((pair.instruct, pair.thinking))

    def known_speed(self, pair: Pair) -> "KnownSpeed | None":
        """What an earlier study on this machine measured of the pair's speed."""
        from mi_tui.study.known_speeds import known_speed

        return known_speed(pair)

    def problem_count(self, probe: AnyProbe) -> int | None:
        """How many problems a probe asks; ``None`` where only a download would tell.

        Raises:
            MiTuiError: the user's file cannot be read.
        """
        from mi_tui.analysis.search.forecast import problem_count

        known = problem_count(probe)
        if known is not None or probe.kind == "lm-eval":
            return known
        from mi_tui.probes.freeze import freeze

        return len(freeze(probe).problems)

    def probe_faults(self, probe: AnyProbe) -> tuple[str, ...]:
        """What is wrong with a probe's file, the first few faults; nothing for other sources."""
        from mi_tui.probes.probe_kind import kind_of

        return kind_of(probe.kind).faults(probe)

    def probe_proposal(self, probe: AnyProbe) -> "Proposal | None":
        """A change under which a probe's file can be read, to be asked for; nothing usually."""
        from mi_tui.probes.probe_kind import kind_of

        return kind_of(probe.kind).proposal(probe)

    def machine(self) -> str:
        """What this machine is, in one line; may take a moment."""
        from mi_tui.machine.host import free_disk
        from mi_tui.machine.resources import this_machine
        from mi_tui.present.machine import machine_words
        from mi_tui.study.storage.folder import studies_folder

        return machine_words(this_machine(), free_disk(studies_folder()))

    def example(self, pair: Pair, probe: AnyProbe) -> str:
        """A probe's first problem as the model will see it, as harmless plain lines.

        Raises:
            MiTuiError: the probe or the donor's chat template cannot be had.
        """
        from mi_tui.study.example import example_for, example_text

        return example_text(example_for(pair, probe))

    def save_preset(self, preset: Preset, name: str) -> Path:
        """Write a preset into the user's folder under this name; the file written.

        Raises:
            PresetError: the file cannot be written.
        """
        path = user_presets_folder() / f"{name}.toml"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise PresetError(f"cannot write preset {path}: {error.strerror}") from error
        write_preset(preset, path)
        return path

    def export(
        self,
        study: Path,
        out: Path,
        name: str,
        answer: Recommendation,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
        *,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        """Write the study's answer in one format; the paths written.

        ``progress`` is told bytes done and in all. A merged checkpoint is written by a process
        of its own, so that nothing heavy is loaded here; ``cancelled`` ends it. ``overwrite``
        replaces what the folder holds of another recipe or study.

        Raises:
            ExportConflictError: the folder holds something else.
            MiTuiError: something cannot be written, or the export was cancelled.
        """
        from mi_tui.api.study import Study

        with Study.load(study) as opened:
            return opened.export(
                out,
                [name],
                answer=answer,
                progress=lambda step: progress(step.done, step.total),
                cancelled=cancelled,
                overwrite=overwrite,
            )

    def write_text(self, path: Path, text: str) -> Path:
        """Write a text that was copied; its path.

        Raises:
            CopyError: the file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise CopyError(f"cannot write {path}: {reason}: choose another folder") from error
        return path

    def copied_text(self, study: Path, out: Path, name: str, answer: Recommendation) -> str:
        """The text of a format for the clipboard; ``out`` is the folder it speaks of.

        Raises:
            MiTuiError: the study cannot be read.
        """
        from mi_tui.export.bundle import copied_text

        return copied_text(study, out, name, answer)

    def ablation(self, study: Path, kind: str, lambda_: float, budget: Budget) -> Preset:
        """The preset of an ablation of a study at a λ, with the budget asked last.

        Raises:
            MiTuiError: the study has no such ablation, or its pair cannot be read.
        """
        from mi_tui.api.study import Study

        with Study.load(study) as opened:
            return opened.ablation(kind, lambda_=lambda_, budget=budget)
