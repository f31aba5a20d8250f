"""The watch over one study: a timer that reads it and updates the open screen."""

from functools import partial
from pathlib import Path
from typing import Any

from textual.app import App
from textual.timer import Timer

from mi_tui.errors import MiTuiError
from mi_tui.study.view import StudyState, StudyView
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.studies.services import Services
from mi_tui.tui.studies.watched_study import ShowsStudy, WatchedStudy

_LOOK_EVERY = 1.0
"""Seconds between two looks at the watched study: the most often that anything is drawn anew."""


class StudyWatch:
    """At most one study is watched; ``notify`` tells the terminal when it is done or has failed.

    Attributes:
        session: the watched study, ``None`` without one.
    """

    def __init__(self, app: App[Any], services: Services, *, notify: bool = False) -> None:
        self._notify = notify
        self.session: WatchedStudy | None = None
        self._app = app
        self._services = services
        self._timer: Timer | None = None
        self._failure = ""

    def open(self, path: Path) -> WatchedStudy:
        """Watch a study from now on; :meth:`look` has to be called for the first picture."""
        self.close()
        self.session = session = WatchedStudy(self._services, path)
        self._timer = self._app.set_interval(_LOOK_EVERY, self.look)
        return session

    def close(self) -> None:
        """Watch none."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.session is not None:
            self.session.close()
            self.session = None
        self._failure = ""

    def look(self) -> None:
        """Read the study and show what is new."""
        if self.session is not None:
            work = partial(self._refresh, self.session)
            start(self._app, work, group="look", exclusive=False)

    async def _refresh(self, session: WatchedStudy) -> None:
        before = session.view
        try:
            news = await session.refresh()
        except MiTuiError as error:
            self._notify_error(str(error))
            return
        if news:  # none may mean that another look is still at it
            self._failure = ""
        if before is not None and before.state.is_active and session.view is not None:
            self._tell(session.view)
        if news and session is self.session and session.view is not None:
            self._show(session.view)

    def _notify_error(self, failure: str) -> None:
        """Say once, not at every look, why the study cannot be read."""
        if failure != self._failure:
            self._failure = failure
            self._app.notify(failure, severity="error", markup=False, timeout=12)

    def _tell(self, view: StudyView) -> None:
        """Ring and tell the terminal that a study has ended, where the settings ask for it."""
        if self._notify and view.state in (StudyState.DONE, StudyState.FAILED):
            self._app.bell()
            if (driver := self._app._driver) is not None:
                # OSC 9: a notification of the desktop, passed on by many terminals.
                driver.write(f"\x1b]9;mi-tui: {view.name} {view.state}\x07")

    def _show(self, view: StudyView) -> None:
        # A covered screen is told when it is uncovered: what it changed now would make Textual
        # repaint the one above.
        screen = self._app.screen
        if isinstance(screen, ShowsStudy) and screen.is_mounted:
            screen.show_view(view)
