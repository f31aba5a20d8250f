"""Examples of a study's prompts, before anything runs."""

from mi_tui.checkpoints.locate import locate
from mi_tui.plan.pair import Pair
from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.preview import Example, preview
from mi_tui.probes.text import safe_text, shown_line
from mi_tui.study.thinking_tags import thinking_tags

LONGEST = 20_000
"""Characters of a prompt that are shown; few-shot prompts can be longer than any screen."""


def example_for(pair: Pair, plan: AnyProbe) -> Example:
    """The first problem of a probe in the chat template of the pair's donor.

    The probe is drawn whole: a benchmark may be downloaded, and so may the donor's template, but
    never its weights.

    Raises:
        ProbeError: the probe cannot be drawn, or the donor has no chat template.
        CheckpointError: the donor cannot be found.
    """
    return preview(
        plan,
        locate(pair.donor_reference, weights=False).path,
        tags=thinking_tags(pair),
        template_arguments=pair.chat_template_kwargs,
    )


def example_text(example: Example) -> str:
    """An example as plain lines that a terminal shows and never obeys."""
    asked = f"{example.problems} problems"
    if example.held_out:
        asked += f", {example.held_out} of them held out to confirm"
    thought = "Thinking is left to the model"
    if example.opened is not None:
        thought = f"{shown_line(example.opened.opening)} is opened by the prompt"
    return "\n".join(
        (
            f"{safe_text(example.probe, 60)}: {asked}",
            f"Scored by {example.scorer}, cut at {example.max_new_tokens:,} tokens",
            thought,
            f"Right answer: {safe_text(example.answer, 400) or 'what the scorer checks'}",
            "Prompt as the model will see it:",
            "",
            safe_text(example.prompt or "", LONGEST).rstrip("\n"),
        )
    )
