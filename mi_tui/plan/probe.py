"""The plan of a probe: what every kind has, and the registry of kinds."""

import json
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field, GetCoreSchemaHandler, SerializeAsAny, ValidationInfo
from pydantic_core import CoreSchema, PydanticKnownError, SchemaValidator, core_schema

from mi_tui.plan.base import Plan
from mi_tui.registry import Registry


class ProbePlan(Plan):
    """What every probe has, whatever its source; each kind adds ``kind`` and its own fields.

    ``problems`` limits how many are drawn (``None``: all there are); ``seed`` draws them and
    splits them; ``held_out`` is the share kept for confirming the recommendation; ``weight`` is
    the probe's share of the study's score; ``max_new_tokens`` is the cap at which a response is
    cut; ``samples`` are the samples per problem wanted of each coarse recipe and each row
    (``None``: the search's).
    """

    if TYPE_CHECKING:
        # A field of each kind's own class, a literal: a field here would come first in files.
        kind: str

    name: str = Field(default="", max_length=60)
    problems: int | None = Field(default=None, ge=2)
    seed: int = Field(default=0, ge=0)
    held_out: float = Field(default=0.25, ge=0.0, lt=1.0)
    weight: float = Field(default=1.0, gt=0.0)
    max_new_tokens: int = Field(default=32768, ge=1)
    samples: int | None = Field(default=None, ge=1)


class ProbeKind(Protocol):
    """What a preset needs of a kind of probe; :class:`mi_tui.probes.probe_kind.Kind` has more."""

    @property
    def name(self) -> str:
        """The value of ``kind`` in presets."""

    @property
    def order(self) -> int:
        """The place in lists: lower first, then by name."""

    @property
    def plan(self) -> type[ProbePlan]:
        """The class of its plans, whose ``kind`` is a literal, the name."""


PROBE_KINDS: Registry[ProbeKind] = Registry("mi_tui.probes.kinds", "probe kind")
"""The kinds of probe: one module each in ``mi_tui.probes.kinds``, and installed ones."""


class _ByKind:
    """Validates a plan with the class that its ``kind`` names, as pydantic's unions by tag do."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """A function instead of a union, which would import every kind along with presets."""
        serialized = handler(source).get("serialization")
        schema = core_schema.with_info_plain_validator_function(_validate)
        return schema | {"serialization": serialized} if serialized else schema


def _validate(value: Any, info: ValidationInfo) -> ProbePlan:
    if isinstance(value, ProbePlan):
        return value
    if not isinstance(value, dict):
        raise PydanticKnownError("dict_type" if info.mode == "json" else "model_attributes_type")
    if "kind" not in value:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "'kind'"})
    kind = value["kind"]
    if not isinstance(kind, str) or kind not in PROBE_KINDS:
        expected = ", ".join(f"'{name}'" for name in PROBE_KINDS.names())
        tag = str(kind).encode(errors="replace").decode()  # pydantic takes no half characters
        context = {"discriminator": "'kind'", "tag": tag, "expected_tags": expected}
        raise PydanticKnownError("union_tag_invalid", context)
    validator = _validator(kind, PROBE_KINDS[kind].plan)
    if info.mode == "json":
        # As JSON again: lists may be tuples there, and texts are still no numbers.
        plan = validator.validate_json(json.dumps(value), strict=True)
    else:
        plan = validator.validate_python(value)
    return plan  # type: ignore[no-any-return]


@cache
def _validator(kind: str, plan: type[ProbePlan]) -> SchemaValidator:
    """A union of one class: errors then say the kind in their place, as those of a union."""
    choices: dict[Any, Any] = {kind: plan.__pydantic_core_schema__}
    return SchemaValidator(core_schema.tagged_union_schema(choices, "kind"))


AnyProbe = Annotated[SerializeAsAny[ProbePlan], _ByKind]
"""The plan of a probe of any registered kind, told apart by ``kind``."""
