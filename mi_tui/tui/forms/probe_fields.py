"""A probe's form as text: what its fields hold, and the probe that they make."""

from collections.abc import Mapping

from pydantic import ValidationError

from mi_tui.plan.probe import AnyProbe
from mi_tui.probes.probe_kind import kind_of


def texts_of(plan: AnyProbe) -> dict[str, str]:
    """A probe's fields as they are typed."""
    return {field.name: field.text(plan) for field in kind_of(plan.kind).form}


def read_probe(plan: AnyProbe, texts: Mapping[str, str]) -> tuple[AnyProbe | None, dict[str, str]]:
    """The probe with these fields, or what is wrong with which; other settings are kept."""
    fields = {field.name: field for field in kind_of(plan.kind).form}
    values, problems = dict(plan), {}
    for name, text in texts.items():
        try:
            values |= fields[name].values(text.strip())
        except ValueError as error:
            problems[name] = str(error)
    if problems:
        return None, problems
    try:
        return type(plan).model_validate(values), {}
    except ValidationError as error:
        first = error.errors()[0]
        place = next((str(part) for part in first["loc"] if part in texts), next(iter(texts)))
        return None, {place: first["msg"].removeprefix("Value error, ")}
