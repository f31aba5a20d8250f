"""Commands to studies from the app, on a thread of their own."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from textual.app import App

from mi_tui.errors import MiTuiError
from mi_tui.plan.preset import Preset
from mi_tui.plan.remote_code import RemoteCodeError
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.studies.messages import Ablate, AskConsent, Continue, StartStudy, StudyRequest
from mi_tui.tui.studies.services import Services

T = TypeVar("T")


class StudyCommands:
    """Carries out what screens ask of studies, one after the other; failures are notified.

    Args:
        app: shows the notifications.
        services: does the work.
    """

    def __init__(self, app: App[Any], services: Services) -> None:
        self._app = app
        self._services = services
        self._thread = Background("study commands")
        self._begins = False

    def begin(self, message: StartStudy, then: Callable[[Path], None]) -> None:
        """Make a study of a preset and start it; a second Enter meanwhile makes no second one."""
        if self._begins:
            return
        self._begins = True

        def over(path: Path | None) -> None:
            self._begins = False
            if path is not None:
                then(path)

        self._do(partial(self._services.create_and_start, message.preset, message.name), over)

    def go_on(self, path: Path) -> None:
        """Let a paused study go on, or start the worker of one that has none."""
        self._do(partial(self._services.go_on, path))

    def request(self, path: Path, message: StudyRequest) -> None:
        """Leave a request for the study's worker."""
        self._do(partial(self._services.request, path, message.kind, **message.data))

    def extend(self, path: Path, message: Continue) -> None:
        """Let a study that has ended go on."""
        self._do(partial(self._services.extend, path, message.until, message.budget))

    def ablate(self, path: Path, message: Ablate, then: Callable[[Preset], None]) -> None:
        """Make the preset of an ablation, which reads a checkpoint."""

        def made(preset: Preset | None) -> None:
            if preset is not None:
                then(preset)

        make = self._services.ablation
        self._do(partial(make, path, message.kind, message.lambda_, message.budget), made)

    def _do(self, call: Callable[[], T], then: Callable[[T | None], None] | None = None) -> None:
        """Run ``call``; ``then`` gets its result, ``None`` when it failed."""

        async def done() -> None:
            result: T | None = None
            try:
                result = await self._thread.run(call)
            except RemoteCodeError as error:
                self._ask_for_consent(error, call, then)
                return
            except MiTuiError as error:
                self._app.notify(str(error), severity="error", markup=False, timeout=12)
            if then is not None:
                then(result)

        start(self._app, done, group="study commands", exclusive=False)

    def _ask_for_consent(
        self, error: RemoteCodeError, call: Callable[[], T], then: Callable[[T | None], None] | None
    ) -> None:
        """Ask whether code of others may run; with a yes it is kept, and ``call`` done again."""

        def allowed_then_done() -> T:
            self._services.allow(error.codes)
            return call()

        def answered(yes: bool) -> None:
            if yes:
                self._do(allowed_then_done, then)
            elif then is not None:
                then(None)

        self._app.post_message(AskConsent(error.codes, answered))
