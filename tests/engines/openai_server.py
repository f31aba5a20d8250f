"""A small OpenAI-compatible server for tests: a real model behind ``/v1/chat/completions``."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from mi_tui.engines.protocol import Completion, Engine, Request
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.serve.dial import Dial
from tests.engines.http_server import listening


@dataclass
class Served:
    """What is served, how the server misbehaves, and what it was asked.

    ``dial`` makes it a server with λ per request; a ``deaf`` one always runs Instruct.
    """

    engine: Engine
    recipe: Recipe
    key: str = ""
    busy: int = 0
    knows_top_k: bool = True
    counts_tokens: bool = True
    splits_thinking: bool = False
    dial: Dial | None = None
    deaf: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    most_at_once: int = 0
    url: str = ""
    _now: int = 0
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _model: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, body: dict[str, Any]) -> None:
        with self._gate:
            self.asked.append(body)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)

    def leave(self) -> None:
        with self._gate:
            self._now -= 1

    def is_busy(self) -> bool:
        with self._gate:
            self.busy -= 1
            return self.busy >= 0

    def complete(self, body: dict[str, Any]) -> Completion:
        decoding = Decoding(temperature=body["temperature"], top_p=body["top_p"])
        recipe = self.recipe.model_copy(update={"decoding": decoding})
        if self.dial is not None:
            _, _, name = body["model"].partition("@")
            lambda_ = self.dial.efforts[name] if name else self.dial.default
            lambda_ = 0.0 if self.deaf else lambda_
            recipe = recipe.model_copy(update={"lambda_": lambda_})
        with self._model:
            prompt = self.engine.encode(self.engine.render(body["messages"]))
            self.engine.add([Request(0, recipe, prompt, body["seed"], body["max_tokens"])])
            done: list[Completion] = []
            while self.engine.pending:
                done += self.engine.step(1.0)
        return done[0]


@contextmanager
def serve(served: Served) -> Iterator[Served]:
    """Serve on a free port of this machine; ``served.url`` is the address."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if served.dial is not None and self.path == "/v1/dial":
                return self._json(200, served.dial.as_json())
            if self.path != "/v1/models":
                return self._json(404, {"detail": "Not Found"})
            names = served.dial.models if served.dial is not None else ("merged",)
            return self._json(200, {"object": "list", "data": [{"id": name} for name in names]})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if served.key and self.headers.get("Authorization") != f"Bearer {served.key}":
                return self._json(401, {"error": {"message": "wrong key"}})
            if served.is_busy():
                return self._json(503, {"error": {"message": "busy"}})
            if not served.knows_top_k and "top_k" in body:
                return self._json(422, {"detail": "Unexpected fields: top_k"})
            served.enter(body)
            try:
                self._stream(served.complete(body))
            finally:
                served.leave()
            return None

        def _stream(self, completion: Completion) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            self._event({"choices": [{"delta": {"role": "assistant"}}]})
            thought, mark, said = completion.text.partition("</think>")
            if served.splits_thinking and mark:
                thought = thought.removeprefix("<think>")
                self._event({"choices": [{"delta": {"reasoning_content": thought}}]})
            else:
                said = completion.text
            for at in range(0, len(said), 20):
                self._event({"choices": [{"delta": {"content": said[at : at + 20]}}]})
            reason = completion.finish_reason
            self._event({"choices": [{"delta": {}, "finish_reason": reason}]})
            if served.counts_tokens:
                self._event({"choices": [], "usage": {"completion_tokens": completion.token_count}})
            self.wfile.write(b"data: [DONE]\n\n")

        def _event(self, data: dict[str, Any]) -> None:
            self.wfile.write(f"data: {json.dumps(data)}\n\n".encode())
            self.wfile.flush()

        def _json(self, status: int, data: dict[str, Any]) -> None:
            text = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    with listening(Handler) as served.url:
        yield served
