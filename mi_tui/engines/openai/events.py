"""Server-sent events of an OpenAI-compatible server, read as untrusted text."""

from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mi_tui.engines.protocol import FinishReason
from mi_tui.plan.thinking_tags import THINK


class UnreadableError(Exception):
    """What the server sent is not what the API describes; the message says where."""


class _Said(BaseModel):
    """Types are not converted; what we do not use is ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Delta(_Said):
    """The next piece of an answer; servers name the thinking in either way, or leave it in."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class Choice(_Said):
    """One of the answers; only one is asked for."""

    delta: Delta | None = None
    finish_reason: str | None = None


class Usage(_Said):
    """The server's own count of the answer's tokens."""

    completion_tokens: int | None = Field(default=None, ge=0, le=1 << 40)


class Event(_Said):
    """One server-sent event of a stream."""

    choices: tuple[Choice, ...] | None = None
    usage: Usage | None = None
    error: Any = None


class _Model(_Said):
    id: str


class _Models(_Said):
    data: tuple[_Model, ...]


class ServedEffort(_Said):
    """A name for a λ, and the model that stands for it."""

    effort: str = Field(max_length=64)
    model: str = Field(max_length=256)
    lambda_: float = Field(alias="lambda", ge=0.0, le=1.0)


class ServedDial(_Said):
    """What a server with λ per request offers (``mi-tui serve``): its efforts, and the λ of
    requests that name none."""

    model: str = Field(max_length=256)
    lambda_: float = Field(alias="lambda", ge=0.0, le=1.0)
    efforts: tuple[ServedEffort, ...] = Field(max_length=64)


class _Reason(_Said):
    """An error's body: servers put the reason in any of these places."""

    error: Any = None
    message: Any = None
    detail: Any = None


_Read = TypeVar("_Read", bound=_Said)


class Heard:
    """An answer while it comes."""

    def __init__(self) -> None:
        self._thinking: list[str] = []
        self._content: list[str] = []
        self._finish: str | None = None
        self._done = False
        self.tokens: int | None = None

    def take(self, data: str) -> None:
        """Read the data of one event.

        Raises:
            UnreadableError: it is no event of a chat completion, or tells of an error.
        """
        if data == "[DONE]":
            self._done = True
            return
        event = _read(Event, data, "event of a chat completion")
        if event.error:
            raise UnreadableError(f"broke off: {reason(data)}")
        if event.usage is not None:
            self.tokens = event.usage.completion_tokens
        for choice in event.choices or ():
            self._take_choice(choice)

    def _take_choice(self, choice: Choice) -> None:
        if choice.finish_reason is not None:
            self._finish = choice.finish_reason
        if choice.delta is not None:
            self._thinking.append(choice.delta.reasoning_content or choice.delta.reasoning or "")
            self._content.append(choice.delta.content or "")

    @property
    def has_begun(self) -> bool:
        """Whether any text has come."""
        return any(self._thinking) or any(self._content)

    @property
    def is_whole(self) -> bool:
        """Whether the server said all it had to say."""
        return self._done or (self._finish is not None and self.tokens is not None)

    @property
    def finish_reason(self) -> FinishReason:
        """Whether the server cut the answer at the cap."""
        return "length" if self._finish == "length" else "stop"

    @property
    def text(self) -> str:
        """One text, as the model wrote it before the server took the thinking out.

        A server whose parser met no closing tag sends all of a finished answer as reasoning. A
        model that wrote no tag wrote an answer, and so it stands here.
        """
        thinking, content = "".join(self._thinking), "".join(self._content)
        if not thinking or (not content and self.finish_reason == "stop"):
            return thinking + content
        closing = f"{THINK.closing}{content}" if content else ""
        return f"{THINK.opening}{thinking}{closing}"


def served_dial(text: str) -> ServedDial:
    """The dial that a server tells.

    Raises:
        UnreadableError: it is none.
    """
    return _read(ServedDial, text, "dial")


def model_names(text: str) -> list[str]:
    """The names in a server's list of models.

    Raises:
        UnreadableError: it is no such list.
    """
    return [model.id for model in _read(_Models, text, "list of models").data]


def reason(text: str) -> str:
    """The reason in an error's body, wherever the server puts it; else the body's beginning."""
    try:
        said = _read(_Reason, text, "reason")
    except UnreadableError:
        return text[:300] or "no reason"
    found = said.error or said.message or said.detail
    if isinstance(found, dict):
        found = found.get("message") or found.get("detail")
    return str(found or "no reason")[:300]


def seconds_to_wait(retry_after: str | None, now: float) -> float:
    """What a ``Retry-After`` header asks for, a number of seconds or a date; 0 where it is none.

    Args:
        retry_after: the header's value.
        now: Unix seconds.
    """
    said = (retry_after or "").strip()
    if said.isdecimal():
        return float(said)
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def _read(kind: type[_Read], text: str, what: str) -> _Read:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = f"{where}: {first['msg']}" if where else first["msg"]
        raise UnreadableError(f"sends what is no {what} ({said})") from None
