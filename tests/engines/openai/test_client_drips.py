"""A server that sends a byte now and then is given up like a silent one, in every part of it."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from mi_tui.engines.openai.client import Endpoint, EndpointError, OpenAIClient, Question
from mi_tui.plan.recipe import Decoding

EVERY_SECONDS = 0.1
TIMEOUT_SECONDS = 0.6
QUESTION = Question(({"role": "user", "content": "one two"},), Decoding(), 7, 12)

HEADERS = b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 10_000
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
ERROR = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 100000\r\n\r\n"


@contextlib.contextmanager
def dripping(at_once: bytes, drops: bytes) -> Iterator[str]:
    """A server that says something at once, and then one byte at a time, over and over."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            connection.sendall(at_once)
            for at in range(100_000):
                if over.wait(EVERY_SECONDS):
                    return
                connection.sendall(drops[at % len(drops) :][:1])

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)

        def accept() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            over.set()
            thread.join()


async def answer(client: OpenAIClient) -> object:
    return await client.ask("merged", QUESTION)


async def models(client: OpenAIClient) -> object:
    return await client.models()


async def dial(client: OpenAIClient) -> object:
    return await client.dial()


@pytest.mark.parametrize(
    ("call", "at_once", "drops"),
    [
        (answer, HEADERS[:20], HEADERS[20:]),
        (answer, STREAM, b": nothing to say\n"),
        (answer, STREAM, b"data: a line without an end "),
        (answer, ERROR, b"no "),
        (models, HEADERS[:20], HEADERS[20:]),
        (models, BODY, b" "),
        (models, ERROR, b"no "),
        (dial, HEADERS[:20], HEADERS[20:]),
        (dial, BODY, b" "),
    ],
    ids=[
        "headers", "comments", "half an event", "an error", "headers of models", "models",
        "an error of models", "headers of dial", "dial",
    ],
)  # fmt: skip
def test_drips_are_given_up_in_time(
    call: Callable[[OpenAIClient], Awaitable[object]], at_once: bytes, drops: bytes
) -> None:
    async def once(url: str) -> object:
        async with OpenAIClient(Endpoint(url, timeout=TIMEOUT_SECONDS)) as client:
            async with asyncio.timeout(20 * TIMEOUT_SECONDS):
                return await call(client)

    with dripping(at_once, drops) as url:
        began = time.monotonic()
        with pytest.raises(EndpointError, match=r"was silent for 0\.6 s") as failed:
            asyncio.run(once(url))
        assert time.monotonic() - began < 10 * TIMEOUT_SECONDS
    assert len(str(failed.value).splitlines()) == 1
