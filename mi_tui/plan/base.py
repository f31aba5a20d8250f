"""The base class of all plan data: frozen, strict, and known by its content."""

import hashlib
import json
from typing import Self

from pydantic import BaseModel, ConfigDict


class Plan(BaseModel):
    """Immutable data in which unknown keys and silently converted types are refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, validate_by_alias=True
    )

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
