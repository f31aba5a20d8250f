"""A server for tests that says what it is told to, byte for byte, and hangs up or stays silent."""

import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.engines.http_server import listening


@dataclass(frozen=True)
class Reply:
    """What a request is answered with; a ``status`` of 0: with nothing at all.

    ``silent``: after the body the connection stays open, and nothing more is said, until the
    client hangs up. ``promised`` bytes more are announced than are sent.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    silent: bool = False
    promised: int = 0


def events(*said: object) -> bytes:
    """Server-sent events; strings and bytes as they are, other things as JSON."""
    lines = [one if isinstance(one, str) else json.dumps(one) for one in said]
    return "".join(f"data: {line}\n\n" for line in lines).encode()


def piece(text: str, finish: str | None = None) -> dict[str, Any]:
    """One piece of an answer."""
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}


def count(tokens: object) -> dict[str, Any]:
    """The server's own count of an answer."""
    return {"choices": [], "usage": {"completion_tokens": tokens}}


def whole(text: str = "one", tokens: int = 3) -> Reply:
    """An answer as it should be."""
    return streamed(piece(text), piece("", "stop"), count(tokens), "[DONE]")


def streamed(*said: object, silent: bool = False, promised: int = 0) -> Reply:
    """Events, whether or not they make an answer."""
    return Reply(
        body=events(*said),
        silent=silent,
        promised=promised,
        headers={"Content-Type": "text/event-stream"},
    )


SILENCE = Reply(status=0, silent=True)
"""The connection is taken, and nothing is said."""


@dataclass
class Scripted:
    """Where the server listens, and what was asked of it."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    in_silence: threading.Event = field(default_factory=threading.Event)
    hung_up: threading.Event = field(default_factory=threading.Event)


@contextmanager
def scripted(
    answers: Iterable[Reply], models: Reply | None = None, dial: Reply | None = None
) -> Iterator[Scripted]:
    """Serve on a free port of this machine.

    Args:
        answers: to the questions, in the order in which they come; the last one to all later ones.
        models: to the question for the models.
        dial: to the question for the dial.
    """
    replies = list(answers)
    listed = models or Reply(body=json.dumps({"data": [{"id": "merged"}]}).encode())
    found = Scripted()
    gate = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            told = Reply(status=404) if dial is None else dial
            self._say(told if self.path.endswith("/dial") else listed)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with gate:
                found.asked.append(body)
                reply = replies.pop(0) if len(replies) > 1 else replies[0]
            self._say(reply)

        def _say(self, reply: Reply) -> None:
            if reply.status:
                self._say_something(reply)
            if reply.silent:
                found.in_silence.set()
                _wait_for_the_end(self.connection)
                found.hung_up.set()

        def _say_something(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.promised:
                self.send_header("Content-Length", str(len(reply.body) + reply.promised))
            self.end_headers()
            self.wfile.write(reply.body)
            self.wfile.flush()

    with listening(Handler) as found.url:
        yield found


def _wait_for_the_end(connection: socket.socket) -> None:
    """Until the other side hangs up, however it does."""
    try:
        while connection.recv(1024):
            pass
    except OSError:
        pass
