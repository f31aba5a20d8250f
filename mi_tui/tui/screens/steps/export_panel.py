"""The lower part of step 5: the folder, the formats, and what was written or copied."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Input, Static

from mi_tui.analysis.results import Recommendation
from mi_tui.errors import MiTuiError
from mi_tui.export.errors import ExportConflictError
from mi_tui.export.format import FORMATS
from mi_tui.paths import expanded
from mi_tui.plan.preset import Preset
from mi_tui.present.answer import in_words
from mi_tui.text.plurals import counted
from mi_tui.tui.runtime.browser import open_file
from mi_tui.tui.runtime.colours import colours_of, rich_colour
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import is_open
from mi_tui.tui.screens.dialogs.ask import ConfirmScreen
from mi_tui.tui.screens.dialogs.pick import Pick, PickScreen
from mi_tui.tui.screens.dialogs.serve import ServeScreen
from mi_tui.tui.studies.export import SERVE, Export, copies
from mi_tui.tui.widgets.choice import Checks, Option
from mi_tui.tui.widgets.form import FormRow, text_field

REPORT = "report"
"""The format that is opened in a browser."""

Answer = Callable[[], Awaitable[Recommendation | None]]
"""Gives the answer to the budget in its field, which may have been typed just now."""


class ExportPanel(Vertical):
    """Exports and copies the answer; what comes of it is said by ``say``.

    Attributes:
        has_begun: whether anything was exported, so that the status line is its own.
    """

    def __init__(self, export: Export, answer: Answer, say: Callable[[Text], None]) -> None:
        super().__init__(id="export")
        self._export = export
        self._answer = answer
        self._say = say
        self.has_begun = False

    def compose(self) -> ComposeResult:
        """The folder, the boxes, the paths."""
        yield FormRow("Export to", text_field("out", str(self._export.folder)), id="row-out")
        yield FormRow(
            "",
            Checks(
                [Option(each.name, each.title) for each in FORMATS],
                self._export.formats,
                id="formats",
                per_line=3,
            ),
            id="row-formats",
        )
        yield Static("", id="written", markup=False)

    @on(Input.Changed, "#out")
    def folder_edited(self, event: Input.Changed) -> None:
        """A folder has a name."""
        missing = "" if event.value.strip() else "name a folder"
        self.query_one("#row-out", FormRow).show_problem(missing)

    def cancel(self) -> bool:
        """Cancel the export under way; whether there was one."""
        if not self._export.cancel():
            return False
        self._say(Text("Cancelling the export …"))
        return True

    def export(self) -> None:
        """Write the ticked formats; each path is shown as it is written."""
        if not self.query_one("#out", Input).value.strip():
            self.app.bell()
            self.screen.set_focus(self.query_one("#out"))
            return
        if self._export.is_running:
            self._say(Text("An export is under way; Escape cancels it."))
            return
        formats = self.query_one("#formats", Checks).values
        if not formats:
            self._say(Text("Tick at least one format (x)."))
            return
        start(self.screen, partial(self._export_answer, self._folder, formats), group="export")

    def open_report(self) -> None:
        """Write the HTML report and open it, or say where it is."""

        async def write() -> None:
            answer = await self._answer()
            if answer is not None:
                await self._write(self._folder, (REPORT,), answer, then=self._open)

        if not self._export.is_running:
            start(self.screen, write, group="export")

    def _open(self, written: tuple[Path, ...]) -> None:
        if open_file(written[0]):
            self._say_done("Opened the report; its path is above")
        else:
            self._say_done("Open the report with a browser: its path is above")

    def copy(self) -> None:
        """Ask what to copy."""
        picks = [Pick(what, copy.name, copy.about) for what, copy in copies().items()]

        def copy(what: str | None) -> None:
            if what is not None:
                start(self.screen, partial(self._copy, what), group="copy")

        self.app.push_screen(PickScreen("Copy what?", picks), copy)

    def serve(self, preset: Preset) -> None:
        """Show the command that serves the study with λ per request.

        Args:
            preset: of the study.
        """
        start(self.screen, partial(self._serve, preset), group="serve")

    async def _serve(self, preset: Preset) -> None:
        out, answer = self._folder, await self._answer()
        if answer is None:
            return
        if not answer.recommended or not answer.recipe.is_of_the_pair:
            self._say(Text("There is no λ to serve: nothing is recommended for this pair."))
            return
        try:
            serving = await self._export.serving(out, answer, preset)
        except MiTuiError as error:
            self._show_failure(error)
            return

        def copy(wanted: bool | None) -> None:
            if wanted:
                start(self.screen, partial(self._copy, SERVE), group="copy")

        if is_open(self.screen):
            self.app.push_screen(ServeScreen(serving), copy)

    @property
    def _folder(self) -> Path:
        return expanded(self.query_one("#out", Input).value.strip() or str(self._export.folder))

    async def _export_answer(self, out: Path, formats: tuple[str, ...]) -> None:
        answer = await self._answer()
        if answer is not None:
            await self._write(out, formats, answer)

    async def _write(
        self,
        out: Path,
        formats: tuple[str, ...],
        answer: Recommendation,
        overwrite: bool = False,
        *,
        then: Callable[[tuple[Path, ...]], None] | None = None,
    ) -> None:
        self.has_begun = True
        self._say(Text(f"Exporting to {out} …"))
        try:
            written = await self._export.write(
                out, formats, answer, self._show_progress, overwrite=overwrite
            )
        except ExportConflictError as conflict:
            if is_open(self.screen):
                write = partial(self._write, out, formats, answer, then=then)
                self._ask_to_replace(out, conflict.held, write)
            return
        except MiTuiError as error:
            self._show_failure(error)
            return
        if not is_open(self.screen):
            self.notify(f"Exported to {out}", markup=False)
            return
        self.show_written(written)
        self._say_done(f"Exported {counted(len(written), 'file')}")
        if then is not None:
            then(written)

    def _ask_to_replace(
        self, out: Path, held: str, write: Callable[[bool], Awaitable[None]]
    ) -> None:
        """Ask whether what a folder holds may be replaced, and write if so."""

        async def replace() -> None:
            await write(True)

        def answered(yes: bool | None) -> None:
            if yes:
                start(self.screen, replace, group="export")
            else:
                self._say(Text("Nothing was exported: choose another folder."))

        self.app.push_screen(ConfirmScreen(f"{out} holds {held}. Replace it?"), answered)

    async def _copy(self, what: str) -> None:
        out, answer = self._folder, await self._answer()
        if answer is None:
            return
        words = in_words(colours_of(self.app), answer)
        try:
            copy = await self._export.copy(what, out, answer, words)
        except MiTuiError as error:
            self._show_failure(error)
            return
        self.app.copy_to_clipboard(copy.text)
        if is_open(self.screen):
            # No terminal says whether it took the text (OSC 52), so the file is named, too.
            self.show_written((copy.path,))
            name = copies()[what].name
            self._say_done(f"Copied the {name}, if your terminal allows it; also in the file above")

    def show_written(self, written: tuple[Path, ...]) -> None:
        """Show paths, whole, and scroll to them."""
        lines = Text()
        for path in written:
            lines.append("✓ ", style=rich_colour(self.app, "success"))
            lines.append(f"{path}\n")
        self.query_one("#written", Static).update(lines)
        self.call_after_refresh(self.screen.query_one("#body").scroll_end, animate=False)

    def _show_progress(self, words: str) -> None:
        if is_open(self.screen):
            self._say(Text(f"Exporting {words} · esc cancels"))

    def _show_failure(self, error: MiTuiError) -> None:
        self.notify(str(error), severity="error", markup=False, timeout=12)
        if is_open(self.screen):
            self._say(Text(f"✗ {error}", style=rich_colour(self.app, "error")))

    def _say_done(self, words: str) -> None:
        self._say(Text.assemble(("✓ ", rich_colour(self.app, "success")), words))
