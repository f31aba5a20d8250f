"""A client of OpenAI-compatible servers that times the answers as it sees them.

Made for servers that run an exported checkpoint (vLLM, SGLang, llama.cpp, ``transformers serve``):
``POST /chat/completions`` with ``stream`` and ``stream_options.include_usage``, as described at
https://platform.openai.com/docs/api-reference/chat. Knows nothing of torch.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx2

from mi_tui.engines.openai.event_stream import EventStream
from mi_tui.engines.openai.events import (
    Heard,
    ServedDial,
    UnreadableError,
    model_names,
    reason,
    seconds_to_wait,
    served_dial,
)
from mi_tui.engines.protocol import EngineError, FinishReason
from mi_tui.plan.recipe import Decoding

_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers after which the same question may be asked again."""

_UNKNOWN_FIELD = frozenset({400, 422})
_PAUSES = (0.5, 2.0, 8.0)
_LONGEST_PAUSE = 120.0
_CONNECT_SECONDS = 10.0
_SMALL_BODY = 1 << 20
_BYTES_PER_TOKEN = 1 << 12
_SECONDS_PER_TOKEN = 5.0
_MORE_TOKENS = 1024
_Said = TypeVar("_Said")
_sleep = asyncio.sleep


class EndpointError(EngineError):
    """A server that cannot be reached, or does not answer as it should."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a checkpoint is served.

    ``url`` is the server's address, with or without ``/v1``; ``key`` goes into the requests'
    Authorization header and nowhere else. ``timeout`` is how many seconds the server may be
    silent.
    """

    url: str
    key: str = field(default="", repr=False)
    timeout: float = 600.0

    @property
    def base(self) -> str:
        """The address that the API's paths are appended to, without user name and password.

        Raises:
            EndpointError: this is no http or https address.
        """
        try:
            url = httpx2.URL(self.url)
        except (httpx2.InvalidURL, TypeError) as error:
            raise EndpointError(_without_password(f"{self.url!r} is no address: {error}")) from None
        if url.scheme not in ("http", "https") or not url.host:
            raise EndpointError(
                _without_password(f"{self.url!r} is no address: write http://HOST:PORT/v1")
            )
        path = url.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
        return str(url.copy_with(username=None, password=None, path=path, query=None))


@dataclass(frozen=True, slots=True)
class Question:
    """What is sent: chat messages, how to decode, the seed, and the cap in tokens.

    ``template_arguments`` are for the server's chat template, beside the messages.
    """

    messages: tuple[dict[str, str], ...]
    decoding: Decoding
    seed: int
    max_new_tokens: int
    template_arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    ``text`` has the thinking between its tags; where the server sends it apart, between
    ``<think>`` and ``</think>``. ``tokens`` is the server's own count
    (``usage.completion_tokens``). Times in seconds from sending the request: to the first token,
    and to the end.
    """

    text: str
    tokens: int
    finish_reason: FinishReason
    first_token: float
    seconds: float

    @property
    def per_token(self) -> float | None:
        """Seconds per output token after the first; ``None`` of a single one."""
        return (self.seconds - self.first_token) / (self.tokens - 1) if self.tokens > 1 else None


def _without_password(text: str) -> str:
    return re.sub(r"//[^/\s]*@", "//…@", text)


class OpenAIClient:
    """A connection to a server; an asynchronous context manager.

    A request whose connection was lost, or for which the server is too busy, is repeated after
    0.5, 2 and 8 seconds or as long as the server asks, and timed anew. Leaving the context or
    cancelling a task closes its connection, which stops the server's generation.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._base = endpoint.base
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._client = httpx2.AsyncClient(
            headers=headers,
            timeout=httpx2.Timeout(endpoint.timeout, connect=_CONNECT_SECONDS, pool=None),
            limits=httpx2.Limits(max_connections=None),
        )
        self._timeout = endpoint.timeout
        self._extensions = True

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def models(self) -> list[str]:
        """The names of the models that are served.

        Raises:
            EndpointError: the server cannot be reached, or lists none.
        """
        names = await self._repeated(self._models_once, _BusyError)
        if not names:
            raise EndpointError(f"{self._base}/models lists no model: is this an OpenAI API?")
        return names

    async def dial(self) -> ServedDial | None:
        """What a server with λ per request offers; ``None`` of any other server.

        Raises:
            EndpointError: the server cannot be reached, or sends what is no dial.
        """
        with self._failures():
            async with self._opened("GET", "/dial") as response:
                if response.status_code != 200:
                    return None
                return served_dial(await self._small_body(response))

    async def ask(self, model: str, question: Question) -> Answer:
        """One answer, streamed.

        Raises:
            EndpointError: the server cannot be reached, refuses the request, or its answer cannot
                be read or has no token count.
        """

        async def once() -> Answer:
            return await self._ask_once(model, question)

        extended = self._extensions
        try:
            return await self._repeated(once, _LostError)
        except _RefusedError as refused:
            if not extended or refused.status not in _UNKNOWN_FIELD:
                raise
        self._extensions = False  # OpenAI's own API knows no top_k and no template
        return await self._repeated(once, _LostError)

    @property
    def remark(self) -> str:
        """What of the decoding the server did not accept; empty when it took all of it."""
        if self._extensions:
            return ""
        return "the server does not accept top_k and chat_template_kwargs: its own apply"

    async def _repeated(
        self, once: Callable[[], Awaitable[_Said]], temporary: type["_LostError"]
    ) -> _Said:
        """Ask, and ask again after pauses while failures are of a temporary kind."""
        pauses = iter(_PAUSES)
        while True:
            try:
                with self._failures():
                    return await once()
            except temporary as failure:
                pause = next(pauses, None)
                if pause is None:
                    raise
                await _sleep(max(pause, failure.after))

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """What can go wrong on the way, as one line."""
        try:
            yield
        except (httpx2.ReadTimeout, TimeoutError) as error:
            raise EndpointError(
                f"{self._base} was silent for {self._timeout:g} s: raise --timeout or ask fewer "
                "at once"
            ) from error
        except httpx2.TransportError as error:
            what = str(error) or type(error).__name__
            raise _LostError(
                f"{self._base} cannot be reached ({what}): is the server running?"
            ) from error
        except httpx2.RequestError as error:
            raise EndpointError(f"{self._base} sends what cannot be read ({error})") from error
        except UnreadableError as error:
            raise EndpointError(f"{self._base} {error}: is this an OpenAI API?") from error

    async def _models_once(self) -> list[str]:
        async with self._opened("GET", "/models") as response:
            await self._require_success(response)
            return model_names(await self._small_body(response))

    @asynccontextmanager
    async def _opened(
        self, method: str, path: str, body: dict[str, Any] | None = None
    ) -> AsyncIterator[httpx2.Response]:
        """A response whose headers have come; a server that drips them is given up like a silent
        one, which httpx alone does not: its limit of time begins anew with every byte."""
        request = self._client.build_request(method, f"{self._base}{path}", json=body)
        async with asyncio.timeout(self._timeout):
            response = await self._client.send(request, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def _small_body(self, response: httpx2.Response) -> str:
        async with asyncio.timeout(self._timeout):
            pieces = [piece async for piece in self._pieces(response, _SMALL_BODY)]
        return b"".join(pieces).decode(errors="replace")

    async def _ask_once(self, model: str, question: Question) -> Answer:
        started = time.perf_counter()
        first: float | None = None
        heard = Heard()
        async for data in self._events(self._body(model, question), question.max_new_tokens):
            heard.take(data)
            if first is None and heard.has_begun:
                first = time.perf_counter()
        ended = time.perf_counter()
        if not heard.is_whole:
            raise _LostError(f"{self._base} broke off before its answer's end")
        if heard.tokens is None:
            raise EndpointError(
                f"{self._base} sends no usage.completion_tokens: lengths cannot be compared"
            )
        if heard.tokens > 2 * question.max_new_tokens + _MORE_TOKENS:
            raise EndpointError(
                f"{self._base} counts {heard.tokens:.3g} tokens where {question.max_new_tokens:,} "
                "were allowed: its lengths cannot be compared"
            )
        return Answer(
            text=heard.text,
            tokens=heard.tokens,
            finish_reason=heard.finish_reason,
            first_token=(first or ended) - started,
            seconds=ended - started,
        )

    def _body(self, model: str, question: Question) -> dict[str, Any]:
        decoding = question.decoding
        body: dict[str, Any] = {
            "model": model,
            "messages": list(question.messages),
            "max_tokens": question.max_new_tokens,
            "temperature": decoding.temperature,
            "top_p": decoding.top_p,
            "seed": question.seed % (1 << 31),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._extensions:
            # Said even where there is no limit: servers else take the checkpoint's own setting.
            body["top_k"] = decoding.top_k or -1
            if question.template_arguments:
                body["chat_template_kwargs"] = dict(question.template_arguments)
        return body

    async def _events(self, body: dict[str, Any], tokens: int) -> AsyncIterator[str]:
        """The data of the stream's events (server-sent events), of an answer of so many tokens."""
        async with self._opened("POST", "/chat/completions", body) as response:
            await self._require_success(response)
            if "json" in response.headers.get("Content-Type", ""):
                raise UnreadableError("answers without streaming")
            stream = EventStream()
            most = _SMALL_BODY + _BYTES_PER_TOKEN * tokens
            now = asyncio.get_running_loop().time
            latest = now() + self._timeout + _SECONDS_PER_TOKEN * tokens
            # Signs of life that say nothing keep no connection open for ever.
            async with asyncio.timeout(self._timeout) as patience:
                async for piece in self._pieces(response, most):
                    for data in stream.feed(piece):
                        patience.reschedule(min(now() + self._timeout, latest))
                        yield data
            for data in stream.feed(b"", final=True):
                yield data

    async def _pieces(self, response: httpx2.Response, most: int) -> AsyncIterator[bytes]:
        """What a response holds, decompressed, up to so many bytes."""
        heard = 0
        async for piece in response.aiter_bytes():
            heard += len(piece)
            if heard > most:
                raise EndpointError(f"{self._base} sends more than {most:,} bytes: not asked again")
            yield piece

    async def _require_success(self, response: httpx2.Response) -> None:
        if response.status_code == 200:
            return
        said = await self._small_body(response)
        text = f"{self._base} answered {response.status_code}: {reason(said)}"
        if response.status_code not in _BUSY:
            raise _RefusedError(text, response.status_code)
        wait = seconds_to_wait(response.headers.get("Retry-After"), time.time())
        if wait > _LONGEST_PAUSE:
            raise EndpointError(f"{text}; it asks to wait {wait:.0f} s: confirm again then")
        raise _BusyError(text, wait)


class _RefusedError(EndpointError):
    """A status that asking again does not change."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class _LostError(EndpointError):
    """The connection was lost. Asked again, ``after`` so many seconds at the earliest."""

    def __init__(self, message: str, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class _BusyError(_LostError):
    """The server is there, and cannot answer now."""


def only_model(names: Sequence[str]) -> str:
    """The one model that is served.

    Raises:
        EndpointError: there are several to choose from.
    """
    if len(names) > 1:
        served = ", ".join(names[:6])
        raise EndpointError(f"the server has several models ({served}): name one with --model")
    return names[0]
