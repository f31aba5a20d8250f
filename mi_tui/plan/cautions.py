"""Cautions: settings of a preset that are valid and look like a slip."""

from mi_tui.plan.preset import Preset


def cautions(preset: Preset, context: int | None = None) -> tuple[str, ...]:
    """What looks like a slip, a sentence without a full stop each.

    A limit on tokens that no response can reach excludes nothing: the answer is the best score. An
    answer about the probes' problems themselves has no use for held-out ones. A cap beyond the
    context lets the model write where it was never trained to. A thought that may be as long as
    the response is never cut.

    Args:
        preset: a valid one.
        context: the longest sequence that the model is made for, in tokens, if it is known.
    """
    return (
        *_limit_above_cap(preset),
        *_beyond_context(preset, context),
        *_held_out(preset),
        *_idle_thinking_caps(preset),
    )


def _limit_above_cap(preset: Preset) -> tuple[str, ...]:
    found = []
    for limit in preset.budget.limits:
        named = zip(preset.probe_names, preset.probes, strict=True)
        caps = [probe.max_new_tokens for name, probe in named if limit.probe in (None, name)]
        cap = max(caps, default=0)
        if limit.axis == "tokens" and limit.limit > cap:
            met = f"the limit {limit.limit:,.0f} is met"
            found.append(f"No response can be longer than {cap:,} tokens: {met}")
    return tuple(found)


def _beyond_context(preset: Preset, context: int | None) -> tuple[str, ...]:
    cap = max((probe.max_new_tokens for probe in preset.probes), default=0)
    if context is None or cap <= context:
        return ()
    return (f"The token cap {cap:,} is beyond the model's context of {context:,} tokens",)


def _held_out(preset: Preset) -> tuple[str, ...]:
    held = [probe.name or probe.kind for probe in preset.probes if probe.held_out > 0]
    if preset.budget.about == "new-problems" or not held:
        return ()
    return (
        f"Some problems of {', '.join(held)} are held out of the search, yet the answer is about"
        " all of them: hold 0 % out",
    )


def _idle_thinking_caps(preset: Preset) -> tuple[str, ...]:
    cap = max((probe.max_new_tokens for probe in preset.probes), default=0)
    return tuple(
        f"{row.label} cuts no thought: no response can be longer than {cap:,} tokens"
        for row in preset.recipes
        if row.thinking_cap is not None and row.thinking_cap >= cap
    )
