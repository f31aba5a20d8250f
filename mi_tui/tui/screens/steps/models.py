"""Step 1: the two checkpoints and their preflight."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Input, Rule, Static

from mi_tui.checkpoints.checks.compare import CODE
from mi_tui.checkpoints.checks.findings import Finding, Level
from mi_tui.errors import MiTuiError
from mi_tui.plan.pair import Pair
from mi_tui.present import signs
from mi_tui.tui.forms.draft import Draft
from mi_tui.tui.runtime.background import Background
from mi_tui.tui.runtime.completion import CheckpointSuggester, partner
from mi_tui.tui.runtime.workers import start
from mi_tui.tui.screens.base import FormScreen, is_open
from mi_tui.tui.studies.services import Services
from mi_tui.tui.widgets.choice import Checks, Choice, Option
from mi_tui.tui.widgets.form import FormRow, Lead, text_field
from mi_tui.tui.widgets.step_header import Step

COLOURS: dict[Level, str] = {"ok": "success", "warning": "warning", "error": "error"}
_PLACE = "directory, hub id (owner/name) or bundled:NAME"

_PAUSE = 0.7
"""Seconds without a keystroke before a pair is looked at."""


class ModelsScreen(FormScreen):
    """The pair, with a preflight that runs as the fields change."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f4",
            "sigma",
            "σ",
            id="models.sigma",
            tooltip="Read the weights: how far are the two apart, and where?",
        ),
    ]
    STEP = Step.MODELS
    HELP_PAGE = "models"
    FIELDS: ClassVar[dict[str, str]] = {"instruct": "row-instruct", "thinking": "row-thinking"}

    def __init__(self, draft: Draft, services: Services) -> None:
        super().__init__(draft)
        self._services = services
        self._thread = Background("preflight")
        self._looked = False
        self._looked_at: Pair | None = None
        self._lines: tuple[Finding, ...] = ()
        self._tried = False

    def compose_body(self) -> Iterable[Widget]:
        """Two checkpoints, an optional base, who gives the tokenizer; the preflight below."""
        draft = self.draft
        yield Lead(
            "Which two checkpoints?",
            "One model, trained twice: to answer at once, and to think first.",
        )
        yield FormRow(
            "Instruct",
            text_field(
                "instruct", draft.instruct, placeholder=_PLACE, suggester=CheckpointSuggester()
            ),
            hint="λ = 0",
            id="row-instruct",
        )
        yield FormRow(
            "Thinking",
            text_field(
                "thinking", draft.thinking, placeholder=_PLACE, suggester=CheckpointSuggester()
            ),
            hint="λ = 1",
            id="row-thinking",
        )
        yield FormRow(
            "Base",
            text_field(
                "base",
                draft.base,
                placeholder="for the baselines only",
                suggester=CheckpointSuggester(),
            ),
            hint="(opt)",
            id="row-base",
        )
        yield FormRow(
            "Tokenizer of",
            Choice(
                (Option("thinking", "Thinking"), Option("instruct", "Instruct")),
                draft.donor,
                id="donor",
            ),
            hint="and of the chat template",
        )
        yield FormRow(
            "Remote code",
            Checks(
                (Option(True, "trust code that comes with the checkpoints"),),
                (True,) if draft.trust_remote_code else (),
                id="trust",
            ),
        )
        yield Rule(line_style="heavy")
        yield Static("Preflight", id="preflight-title", markup=False)
        yield Static("", id="preflight", markup=False)

    def on_unmount(self) -> None:
        """Let the preflight thread end."""
        self._thread.close()

    def collect(self) -> Draft:
        """The draft with this pair."""
        return replace(
            self.draft,
            instruct=self.query_one("#instruct", Input).value,
            thinking=self.query_one("#thinking", Input).value,
            base=self.query_one("#base", Input).value,
            donor=self.query_one("#donor", Choice).value,
            trust_remote_code=bool(self.query_one("#trust", Checks).values),
        )

    def show_checked(self) -> None:
        """Also look at the pair, when typing stops, and suggest the other side."""
        super().show_checked()
        if not self._tried:
            self._ask_kindly()
        for side, other in (("instruct", "thinking"), ("thinking", "instruct")):
            likely = partner(getattr(self.draft, other).strip())
            field = self.query_one(f"#{side}", Input)
            field.placeholder = f"{likely}  (→ takes it)" if likely else _PLACE
        self._look()

    def on_key(self, event: events.Key) -> None:
        """Right in an empty field takes the likely partner of the other side."""
        field = self.focused
        if event.key != "right" or not isinstance(field, Input) or field.value:
            return
        other = {"instruct": self.draft.thinking, "thinking": self.draft.instruct}
        likely = partner(other.get(field.id or "", "").strip())
        if likely:
            field.value = likely
            field.action_end()
            event.stop()

    def action_sigma(self) -> None:
        """Measure how far the two are apart, once they are known to fit."""
        from mi_tui.tui.screens.reading.relative_gap import SigmaScreen

        pair = self._pair()
        if pair is None:
            self.notify("Name both checkpoints first.", severity="warning")
        elif self._misfit() is not None:
            self.notify("These two do not fit together: see below.", severity="warning")
        else:
            self.app.push_screen(SigmaScreen(pair, self._services))

    def on_screen_resume(self) -> None:
        """Show σ when it was measured meanwhile."""
        if self._lines:
            self._show_lines()

    def action_next(self) -> None:
        """From now on a field left empty is wrong."""
        self._tried = True
        self.show_checked()
        super().action_next()

    def _ask_kindly(self) -> None:
        """What was not yet filled in is no mistake before Enter was pressed."""
        empty = [side for side in ("instruct", "thinking") if not getattr(self.draft, side)]
        for side in empty:
            self.query_one(f"#row-{side}", FormRow).show_problem("")
        if empty and set(self.checked.of(*self.FIELDS)) <= set(empty):
            self.show_status("Name an Instruct and a Thinking checkpoint of one family.")

    def go_on(self) -> None:
        """Go on unless the preflight found that the two do not fit."""
        if self._misfit() is not None:
            self.app.bell()
            return
        super().go_on()

    def ready_words(self) -> str | Text:
        """What the preflight found against the pair, or that Enter goes on."""
        misfit = self._misfit()
        if misfit is None:
            return super().ready_words()
        return Text(f"✗ {misfit.subject}: {misfit.message}", self.colour("error"))

    def _misfit(self) -> Finding | None:
        """The first error; code that is not allowed is asked about before it would run."""
        errors = (line for line in self._lines if line.level == "error")
        return next((line for line in errors if line.subject != CODE), None)

    def _pair(self) -> Pair | None:
        draft = self.draft
        if self.checked.of("instruct", "thinking"):
            return None
        return Pair(
            instruct=draft.instruct.strip(),
            thinking=draft.thinking.strip(),
            base=draft.base.strip() or None,
            trust_remote_code=draft.trust_remote_code,
        )

    def _look(self) -> None:
        pair = self._pair()
        if self._looked and pair == self._looked_at:
            return
        pause = _PAUSE if self._looked else 0.0
        self._looked, self._looked_at = True, pair
        self._lines = ()
        self.query_one("#preflight-title", Static).update("Preflight")
        if pair is None:
            self._show_preflight(Text("Name both checkpoints to see whether they fit."))
            return
        self._show_preflight(Text("Looking at the two checkpoints …"))
        start(self, partial(self._preflight, pair, pause))

    async def _preflight(self, pair: Pair, pause: float) -> None:
        await asyncio.sleep(pause)
        preset = self.checked.preset
        engine, cap = (preset.engine, preset.longest_cap) if preset else (None, None)
        for loading in (False, True):
            try:
                lines = await self._thread.run(
                    partial(self._services.preflight, pair, engine, cap=cap, loading=loading)
                )
            except MiTuiError as error:
                lines = (Finding("error", "preflight", str(error)),)
            if not is_open(self) or pair != self._looked_at:
                return
            self._lines = lines
            self._show_lines("" if loading else "asking transformers …")
            super().show_checked()

    def _show_lines(self, doing: str = "") -> None:
        lines = self._lines
        counts = {level: sum(line.level == level for line in lines) for level in COLOURS}
        words: dict[Level, tuple[str, str]] = {
            "error": ("problem", "problems"),
            "warning": ("warning", "warnings"),
            "ok": ("check passed", "checks passed"),
        }
        title = Text("Preflight", f"bold {self.colour('accent')}")
        for level, (one, several) in words.items():
            if counts[level]:
                meaning = one if counts[level] == 1 else several
                sign = f"{signs.FINDINGS[level]} {counts[level]} {meaning}"
                title.append(f"   {sign}", f"not bold {self.colour(COLOURS[level])}")
        title.append(f"   {doing}" if doing else "", f"not bold {self.colour('secondary')}")
        self.query_one("#preflight-title", Static).update(title)
        self._show_preflight(self._report(by_weight((*lines, *self._sigma_line()))))

    def _sigma_line(self) -> tuple[Finding, ...]:
        if self._looked_at is None or any(line.level == "error" for line in self._lines):
            return ()
        gap = self._services.known_gap(self._looked_at)
        words = "f4 reads the weights: how far apart the two are"
        if gap is not None:
            words = f"{gap.sigma:.4f} between the two; f4 shows where"
        return (Finding("ok", "σ", words),)

    def _report(self, lines: Iterable[Finding]) -> Table:
        report = Table.grid(padding=(0, 2, 0, 0))
        for line in lines:
            report.add_row(
                Text.assemble(
                    (f"{signs.FINDINGS[line.level]} ", self.colour(COLOURS[line.level])),
                    (line.subject, "bold"),
                    no_wrap=True,
                ),
                Text(line.message),
            )
        return report

    def _show_preflight(self, report: Text | Table) -> None:
        self.query_one("#preflight", Static).update(report)


def by_weight(lines: Iterable[Finding]) -> list[Finding]:
    """What forbids mixing first, then what is to be known, then what decides whether it runs."""
    levels: list[Level] = ["error", "warning", "ok"]
    subjects = ["architecture", "memory", "disk", "σ"]
    return sorted(lines, key=lambda line: (levels.index(line.level), line.subject not in subjects))
