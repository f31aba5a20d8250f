"""A study, as scripts, the commands and the app use it."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mi_tui.analysis.results import Recommendation
from mi_tui.api.presets import as_preset
from mi_tui.api.study_answers import StudyAnswers
from mi_tui.checkpoints.merging.manifest import Manifest
from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.choice import EngineChoice
from mi_tui.errors import MiTuiError
from mi_tui.export.bundle import Report, export_study
from mi_tui.plan.budget import Budget
from mi_tui.plan.preset import Preset
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.remote_code import allow
from mi_tui.plan.until import Until, parse_until
from mi_tui.probes.freeze import require_sources
from mi_tui.study import control
from mi_tui.study.bounds import require_bounds, require_concurrency, require_samples
from mi_tui.study.continuation import extend_study
from mi_tui.study.management import delete_study, rename_study
from mi_tui.study.preflight import engine_for, require_fit
from mi_tui.study.remote_code import codes_of, require_consent, with_consent
from mi_tui.study.storage.errors import StudyError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.note import read_note, write_note
from mi_tui.study.storage.records import RequestKind
from mi_tui.study.view import Progress, StudyState, StudyView
from mi_tui.text.notebook import html_text

if TYPE_CHECKING:
    from mi_tui.study.confirmation.server_confirmation import ServerConfirmation

_LOOK_SECONDS = 0.25


class StudyFailedError(StudyError):
    """A study that ended without a result, or whose worker is gone."""


class WaitedTooLongError(StudyError, TimeoutError):
    """A study that has not ended in the time that was given; it goes on."""


class Study(StudyAnswers):
    """One study: its directory, and a worker process that generates as long as it runs.

    The worker is detached: it goes on when this object, or this process, is gone. Any number of
    objects may look at one study.

    A study is for the thread that made it (SQLite's rule, and an error tells it); several threads
    load one each. ``with`` or :meth:`close` lets the file go.

    Attributes:
        folder: the files of the study.
    """

    # -- making and finding ---------------------------------------------------------------

    @classmethod
    def load(cls, reference: Path | str) -> Self:
        """The study of a directory, or of a name (or its beginning) in the studies folder.

        Raises:
            StudyError: there is no such study, or it cannot be read.
        """
        return cls(reference)

    @classmethod
    def create(
        cls,
        preset: Preset | Path | str,
        path: Path | str | None = None,
        *,
        name: str | None = None,
        trust_remote_code: bool = False,
    ) -> Self:
        """Make a study; nothing runs before :meth:`start`.

        Args:
            preset: a preset, the name of one, or a TOML file.
            path: the directory, which may hold a study of the same preset already: that is
                taken as it is. By default a new one in the studies folder.
            name: of a new one in the studies folder, instead of one of title and time.
            trust_remote_code: allow the Python code that the checkpoints and tasks bring, as it
                is now, to run with your rights; this is kept (``mi-tui trust`` lists it).

        Raises:
            RemoteCodeError: the preset would run code that was never allowed.
            PresetError: there is no such preset, or it is not valid.
            StudyError: the pair cannot be mixed, the directory cannot be written, or it holds
                another study.
            CheckpointError: a checkpoint cannot be found or read.
            ProbeError: a file of problems cannot be read, or has bad records.
        """
        wanted = as_preset(preset)
        require_bounds(wanted)
        require_sources(wanted.probes)
        if trust_remote_code:
            wanted = with_consent(wanted)
        require_fit(wanted)
        return cls(control.create_study(wanted, None if path is None else Path(path), name))

    # -- what it is -----------------------------------------------------------------------

    @property
    def path(self) -> Path:
        """The directory."""
        return self.folder.path

    @property
    def note(self) -> str:
        """What was noted about it; words that begin with ``#`` are tags."""
        return read_note(self.folder)

    @note.setter
    def note(self, text: str) -> None:
        write_note(self.path, text)

    def engine(self) -> EngineChoice:
        """The engine that runs the study here, why it is that one, and the plan of its memory.

        Raises:
            CheckpointError: a checkpoint of the pair cannot be found or read.
        """
        choice = engine_for(self.preset)
        kept = Facts.of(self.store).engine
        return choice if kept is None else replace(choice, why=kept.why, chosen=True)

    # -- running --------------------------------------------------------------------------

    def trust_remote_code(self) -> Self:
        """Allow the Python code that the study would run, as it is now, to run with your rights.

        This is kept (``mi-tui trust`` lists it); code that changes is refused again.

        Raises:
            CheckpointError: the code cannot be read.
            MiTuiError: the consent cannot be kept.
        """
        allow(codes_of(self.preset))
        return self

    def start(self) -> Self:
        """Start the worker, a process of its own; one that was stopped goes on where it was.

        Raises:
            RemoteCodeError: it would run code that was never allowed, or has changed since.
            StudyBusyError: a worker is at it already.
            StudyError: the directory cannot be written.
        """
        require_consent(self.preset)
        control.start_worker(self.path)
        return self

    def pause(self) -> Self:
        """Ask the worker to pause after what it is generating; without one nothing is asked."""
        return self._ask_worker("pause")

    def resume(self) -> Self:
        """Let a paused study go on, or start the worker of one that has none.

        Raises:
            StudyError: the directory cannot be written.
        """
        return self._ask_worker("resume") if self.state.is_active else self.start()

    def stop(self) -> Self:
        """Ask the worker to end; what was measured is kept, and :meth:`start` goes on."""
        return self._ask_worker("stop")

    def extend(self, until: Until | str = "settled", *, budget: Budget | str | None = None) -> Self:
        """Let a study that has ended go on, and start its worker.

        Args:
            until: ``"settled"`` (then it has no limit), ``"+500 rollouts"``, ``"+50k tokens"``,
                ``"+10 minutes"``, or an amount in all, such as ``"2000 rollouts"``.
            budget: the question from now on, in place of the study's.

        Raises:
            RemoteCodeError: it would run code that was never allowed, or has changed since.
            UntilError: the text is none of them, or the study is that far already.
            BudgetError: the text is no budget.
            StudyBusyError: a worker is at it.
            StudyError: it is settled already, or its directory cannot be written.
        """
        end = parse_until(until) if isinstance(until, str) else until
        asked = self._question(budget)
        require_consent(self.preset)
        extend_study(self.path, end, asked)
        return self.start()

    def add(self, recipes: Iterable[Recipe]) -> Self:
        """Ask for further rows, evaluated as the preset's own; a worker takes them up.

        Raises:
            StudyError: the study's directory cannot be written.
        """
        for recipe in recipes:
            self.request("add", recipe=recipe.model_dump(mode="json", by_alias=True))
        return self

    def rename(self, name: str) -> Self:
        """Give the study another name; returns it under that name, and this object is closed.

        Raises:
            StudyError: the name is not valid or taken, or the directory cannot be written.
            StudyBusyError: a worker is at it.
        """
        self.close()
        return type(self)(rename_study(self.path, name))

    def delete(self) -> None:
        """Delete the directory with its exports; a worker at it is stopped first.

        Raises:
            StudyError: it cannot be deleted.
            StudyBusyError: its worker has not ended in half a minute.
        """
        self.close()
        delete_study(self.path)

    def request(self, kind: RequestKind, **data: Any) -> None:
        """Leave any wish for the worker; see :func:`mi_tui.study.control.request`.

        Raises:
            StudyError: the study cannot be written.
        """
        control.request(self.path, kind, **data)

    def _ask_worker(self, kind: RequestKind) -> Self:
        # A wish is kept until a worker reads it: one that starts next week must not stop at once.
        if self.state.is_active:
            self.request(kind)
        return self

    def follow(self, timeout: float | None = None) -> Iterator[StudyView]:
        """Pictures of the study, some each second, until its worker has ended; the last is final.

        Args:
            timeout: seconds to follow it at most.

        Raises:
            WaitedTooLongError: it has not ended by then.
            StudyError: the study cannot be read.
        """
        end = None if timeout is None else time.monotonic() + timeout
        view = self.view()
        while True:
            yield view
            if not view.state.is_active:
                return
            if end is not None and time.monotonic() >= end:
                raise WaitedTooLongError(f"{self.name} has not ended after {timeout:g} s")
            time.sleep(_LOOK_SECONDS)
            if self.changed():
                view = self.view()

    def wait(
        self,
        timeout: float | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Self:
        """Wait until the worker has ended; a paused one is waited for.

        Args:
            timeout: seconds to wait at most.
            progress: told how far the study is, whenever that changes.

        Raises:
            StudyFailedError: the study failed, its worker is gone, or it was never started; the
                message is the reason.
            WaitedTooLongError: it has not ended in ``timeout``; it goes on.
        """
        told: Progress | None = None
        for view in self.follow(timeout):
            if progress is not None and view.progress != told:
                told = view.progress
                progress(told)
        if view.state is StudyState.NEW:
            raise StudyFailedError(f"{self.name} was never started: start() does it")
        if view.state in (StudyState.FAILED, StudyState.INTERRUPTED):
            raise StudyFailedError(f"{self.name}: {view.message}")
        return self

    # -- what leaves it -------------------------------------------------------------------

    def export(
        self,
        out: Path | str | None = None,
        formats: Sequence[str] = ("configs",),
        *,
        budget: Budget | str | None = None,
        answer: Recommendation | None = None,
        progress: Report | None = None,
        cancelled: Callable[[], bool] = lambda: False,
        overwrite: bool = False,
    ) -> tuple[Path, ...]:
        """Write the recommendation; returns the paths written.

        Args:
            out: the directory; by default ``exports`` in the study.
            formats: such as ``"mergekit"``, ``"report"`` or ``"checkpoint"``; ``"configs"``
                stands for all but the checkpoint, ``"all"`` for each.
            budget: the question, instead of the study's own.
            answer: a recommendation that was made, instead of asking anew.
            progress: told how far the export is.
            cancelled: asked now and then; true ends the checkpoint's writing, without a trace.
            overwrite: replace what ``out`` holds of another recipe or study.

        Raises:
            ExportConflictError: ``out`` holds another export, or files of unknown origin.
            ExportError: a format is unknown, or ``out`` cannot be written.
            StudyError: there is nothing to recommend yet.
            CheckpointError: mergekit cannot express the recipe; the other files are written.
        """
        if answer is None and budget is not None:
            answer = self.recommend(budget)
        folder = self.folder.exports if out is None else Path(out)
        return export_study(
            self.path,
            folder,
            formats,
            progress,
            answer=answer,
            overwrite=overwrite,
            cancelled=cancelled,
        )

    def merge(
        self,
        row: str | float,
        out: Path | str,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Manifest:
        """Write the checkpoint of one row of the table.

        Args:
            row: its label or λ.
            out: the directory.
            progress: told the bytes done and the bytes in all.

        Raises:
            TableError: there is no such row.
            CheckpointError: the checkpoint cannot be written.
        """
        recipe = self.table()[row].recipe
        return merge(recipe, self.preset.pair, Path(out), progress=progress)

    def confirm(
        self,
        url: str,
        *,
        model: str | None = None,
        samples: int = 4,
        concurrency: int = 8,
        api_key: str = "",
        timeout: float = 600.0,
        budget: Budget | str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "tuple[ServerConfirmation, ...]":
        """Ask a server that runs the exported checkpoint the held-out problems, and compare.

        One outcome, or one for each λ of a server with λ per request (``mi-tui serve``). Answers
        are kept as they come: what was stopped goes on where it was.

        Args:
            url: address of an OpenAI-compatible server.
            model: the model's name there; by default the only one, or each λ that is offered.
            samples: answers to each problem.
            concurrency: requests at once.
            api_key: sent to the server.
            timeout: seconds that the server may be silent.
            budget: the question whose answer was exported; by default the study's.
            progress: told how many answers of how many have come.

        Raises:
            EndpointError: the server cannot be reached or does not answer as it should.
            StudyError: there is nothing to compare with yet, or more is asked for than makes sense.
        """
        # An HTTP client is loaded for those alone who ask a server.
        from mi_tui.engines.openai.client import Endpoint
        from mi_tui.study.confirmation.dial_confirmation import confirm_offers
        from mi_tui.study.confirmation.questions import ConfirmationPlan

        require_samples(samples)
        require_concurrency(concurrency)
        question = self._question(budget)

        def ask() -> "tuple[ServerConfirmation, ...]":
            return confirm_offers(
                str(self.path),
                Endpoint(url, api_key, timeout),
                ConfirmationPlan(model=model, samples=samples, concurrency=concurrency),
                budget=question,
                progress=progress,
            )

        if not _in_event_loop():
            return ask()
        with ThreadPoolExecutor(1) as pool:  # a notebook has an event loop of its own
            return pool.submit(ask).result()

    # -- how it is shown ------------------------------------------------------------------

    def __repr__(self) -> str:
        try:
            return f"<Study {self.name}: {self.state}>"
        except MiTuiError:
            return f"<Study {self.name}: closed>"

    def _repr_html_(self) -> str:
        view = self.view()
        done = f"{view.progress.rollouts} rollouts"
        lines = [f"{view.preset.title} · {self.name}", f"{view.state} · {done}"]
        lines += [view.message] if view.message else []
        lines += [view.recommendation.sentence] if view.recommendation else []
        return html_text(*lines) + (self.table()._repr_html_() if view.measured else "")


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
