"""The check of a pair of checkpoints."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mi_tui.api.merging import Reference
from mi_tui.checkpoints.checks.compare import CODE, compare
from mi_tui.checkpoints.checks.findings import Finding, PairReport
from mi_tui.checkpoints.checks.remote_code import remote_code
from mi_tui.checkpoints.inspect import CheckpointInfo, inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.engines.choice import EngineChoice
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.remote_code import RemoteCodeError, allow, is_allowed
from mi_tui.probes.text import shown_line
from mi_tui.study.preflight import engine_choice, fit_findings, in_place_reason, loading_findings
from mi_tui.text.notebook import html_table
from mi_tui.text.plurals import counted


@dataclass(frozen=True, slots=True, repr=False)
class Report(PairReport):
    """Whether checkpoints can be mixed, and everything that was looked at.

    Each of ``findings`` has a ``level`` (``ok``, ``warning`` or ``error``), a ``subject`` and a
    ``message`` of one line. ``choice`` is the engine that would run them, why it is that one, and
    the plan of its memory.
    """

    choice: EngineChoice | None = None

    @property
    def ok(self) -> bool:
        """Whether the checkpoints can be mixed: no finding is an error."""
        return self.fits

    def __str__(self) -> str:
        return "\n".join(
            f"{finding.level:<7} {finding.subject}: {shown_line(finding.message)}"
            for finding in self.findings
        )

    def __repr__(self) -> str:
        findings = counted(len(self.findings), "finding")
        return f"<Report: {'fits' if self.ok else 'does not fit'}, {findings}>"

    def _repr_html_(self) -> str:
        rows = [(f.level, f.subject, shown_line(f.message)) for f in self.findings]
        return html_table(("", "subject", "finding"), rows, "fits" if self.ok else "does not fit")


def check(
    instruct: Reference,
    thinking: Reference,
    *,
    base: Reference | None = None,
    trust_remote_code: bool = False,
    engine: EnginePlan | None = None,
    cap: int | None = None,
    weights: bool = False,
    loading: bool = True,
) -> Report:
    """Check that two checkpoints can be mixed, from headers and JSON files alone.

    Warnings say, too, what the engine will do with them on this machine, and whether a merged
    checkpoint fits the disk.

    Takes some seconds, nearly all of them to ask transformers how it would load each side; of a
    checkpoint on the hub the small files are fetched.

    Args:
        instruct: the Instruct side.
        thinking: the Thinking side.
        base: the base model of the baselines.
        trust_remote_code: allow the Python code that the checkpoints bring, as it is now, to run
            with your rights: with ``loading`` it runs at once; this is kept (``mi-tui trust``).
        engine: how they would be run; by default as a preset does that says nothing of it.
        cap: the tokens that a response may have.
        weights: fetch the weights of a hub checkpoint, too.
        loading: ask transformers how it would load each side, in a process of its own. Without
            it a check takes well under a second.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
    """
    sides = [str(side) for side in (instruct, thinking, base) if side]
    if trust_remote_code:
        allow_code(sides)
    return examine(
        sides,
        trust_remote_code=trust_remote_code,
        engine=engine,
        cap=cap,
        weights=weights,
        loading=loading,
    )


def allow_code(sides: Iterable[str]) -> None:
    """Keep the user's consent to the code of checkpoints, as it is now.

    Raises:
        CheckpointError: a checkpoint cannot be found, or its code cannot be read.
        MiTuiError: the consent cannot be kept.
    """
    allow(remote_code(locate(side, weights=False)) for side in sides)


def examine(
    sides: Sequence[str],
    *,
    trust_remote_code: bool,
    engine: EnginePlan | None = None,
    cap: int | None = None,
    weights: bool = False,
    loading: bool = True,
) -> Report:
    """As :func:`check`, but nothing is allowed by it.

    Args:
        sides: the Instruct and the Thinking side, and the base where there is one.
        trust_remote_code: code is wanted: what the user has not allowed is an error.
        engine: how they would be run.
        cap: the tokens that a response may have.
        weights: fetch the weights of a hub checkpoint, too.
        loading: ask transformers how it would load each side.

    Raises:
        CheckpointError: a checkpoint cannot be found or read.
    """
    infos = [inspect(locate(side, weights=weights)) for side in sides]
    consent = _consent_findings(infos) if trust_remote_code else []
    trusted = trust_remote_code and not any(one.level == "error" for one in consent)
    compared = compare(*infos, trust_remote_code=trusted).findings
    findings = [*consent, *(one for one in compared if not consent or one.subject != CODE)]
    two = infos[0], infos[1]
    choice = engine_choice(engine or EnginePlan(), *two, cap=cap)
    if loading:
        named = dict(zip(("instruct", "thinking", "base"), infos, strict=False))
        found = loading_findings(named, trust_remote_code=trusted, plan=choice.plan)
        findings += found
        if choice.kind == "transformers" and (reason := in_place_reason(found)):
            choice = engine_choice(engine or EnginePlan(), *two, cap=cap, in_place=reason)
    return Report((*findings, *fit_findings(*two, choice=choice)), choice)


def _consent_findings(infos: Sequence[CheckpointInfo]) -> list[Finding]:
    """One line for each code that would run: an error where it is not allowed."""
    codes = dict.fromkeys(code for info in infos if (code := remote_code(info.location)))
    return [
        Finding("warning", CODE, f"{code.words} runs with your rights, as you have allowed")
        if is_allowed(code)
        else Finding("error", CODE, str(RemoteCodeError([code])))
        for code in codes
    ]
