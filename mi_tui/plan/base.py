"""The base class of all plan data: frozen, strict, and known by its content."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator

from mi_tui.text.plain_text import fault


class Plan(BaseModel):
    """Immutable data in which unknown keys and silently converted types are refused.

    Every text is one line of plain text: presets and studies come from others, and what they say
    goes to terminals and into scripts. ``of_lines`` names the fields that may have several lines.
    """

    of_lines: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

    @model_validator(mode="after")
    def _texts_are_plain(self) -> Self:
        for name, value in self.__dict__.items():
            for text in _texts(value):
                if wrong := fault(text, lines=name in self.of_lines):
                    raise ValueError(f"{name.rstrip('_')} {wrong}")
        return self

    def canonical_json(self) -> str:
        """One spelling for one content: sorted keys, no spaces, defaults written out."""
        return json.dumps(
            self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":")
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of :meth:`canonical_json`."""
        return cls.model_validate_json(text)

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits of the content's SHA-256: equal content, equal key."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()[:16]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple) and value and isinstance(value[0], str):
        yield from (each for each in value if isinstance(each, str))
    elif isinstance(value, dict):
        yield from (each for pair in value.items() for each in pair if isinstance(each, str))
