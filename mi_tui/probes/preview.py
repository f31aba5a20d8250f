"""A full example of a probe, as the model will see it, before anything runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.plan.probe import AnyProbe
from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags, opened_by
from mi_tui.probes.chat_template import render_chat
from mi_tui.probes.freeze import freeze
from mi_tui.probes.problem import Probe, Problem
from mi_tui.probes.scoring.judge import scorer_of


@dataclass(frozen=True, slots=True)
class Example:
    """What a probe asks and how it judges.

    ``prompt`` is the text the model gets, ``None`` without a checkpoint to take the chat
    template from. ``opened`` are the tags of the thought that the template has opened already, so
    that a response holds the closing tag alone. ``problems`` counts the whole probe, ``held_out``
    its held-out part.
    """

    probe: str
    scorer: str
    problem: Problem
    prompt: str | None
    opened: ThinkingTags | None
    problems: int
    held_out: int
    max_new_tokens: int

    @property
    def messages(self) -> Sequence[dict[str, str]]:
        """The example's chat messages, before any template."""
        return self.problem.messages

    @property
    def answer(self) -> str:
        """What the scorer compares with."""
        return self.problem.answer


def preview(
    plan: AnyProbe,
    checkpoint: Path | None = None,
    *,
    tags: Sequence[ThinkingTags] = KNOWN,
    template_arguments: Mapping[str, Any] | None = None,
) -> Example:
    """The first problem of a probe.

    Generated probes answer at once; a file is read and checked whole; a benchmark or an lm-eval
    task may be downloaded first, so call this away from a screen's event loop.

    Args:
        plan: the probe.
        checkpoint: the folder of the donor, whose chat template a merged model takes.
        tags: what may mark thinking.
        template_arguments: what the chat template is given besides.

    Raises:
        ProbeError: as :func:`freeze`, or there is no chat template.
    """
    return example_of(freeze(plan), checkpoint, tags, template_arguments)


def example_of(
    probe: Probe,
    checkpoint: Path | None = None,
    tags: Sequence[ThinkingTags] = KNOWN,
    template_arguments: Mapping[str, Any] | None = None,
) -> Example:
    """The first problem of a frozen probe; arguments and errors as for :func:`preview`."""
    problem = probe.problems[0]
    prompt = None
    if checkpoint is not None:
        prompt = render_chat(checkpoint, problem.messages, template_arguments)
    return Example(
        probe=probe.name,
        scorer=scorer_of(problem, probe.scorer),
        problem=problem,
        prompt=prompt,
        opened=opened_by(prompt or "", tags),
        problems=len(probe.problems),
        held_out=sum(p.split == "held-out" for p in probe.problems),
        max_new_tokens=probe.max_new_tokens,
    )
