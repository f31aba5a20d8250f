"""The process in which chat templates are rendered, and its client.

A template is a program of whoever made the checkpoint: ``{{ 9**(9**9) }}`` never ends, and doubled
strings fill any memory. So it runs where it can be killed. It does what
``PreTrainedTokenizerBase.apply_chat_template`` of transformers does: the same sandboxed Jinja
environment and globals.
"""

import contextlib
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from mi_tui.probes.errors import ProbeError
from mi_tui.probes.text import shown_line

TIME_LIMIT = 10.0
"""Seconds that one prompt may take."""

MEMORY_LIMIT = 1 << 30
"""Bytes of address space."""

LONGEST = 1 << 24
"""Bytes of a prompt: many times any model's context."""

_START_LIMIT = 120.0
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
# -c and not -m: the child would else import what stands in packages above it. -P keeps files of
# the current directory from standing in for modules.
_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); "
    "from mi_tui.probes.template_process import serve; serve(int(sys.argv[2]))"
)


class TemplateRenderer:
    """Renders chat templates; its process is started at the first, and anew after one that hung.

    Ends with :meth:`close`, the ``with`` block, or this object. May be used from several threads.

    Args:
        time_limit: seconds that one prompt may take.
        memory_limit: bytes that it may take.
    """

    def __init__(self, time_limit: float = TIME_LIMIT, memory_limit: int = MEMORY_LIMIT) -> None:
        self._time_limit = time_limit
        self._memory_limit = memory_limit
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def render(self, template: str, given: Mapping[str, Any]) -> str:
        """The text that a template makes.

        Args:
            template: in Jinja's language, as transformers reads it.
            given: the template's variables: JSON values.

        Raises:
            ProbeError: the template is wrong, refuses what it is given, or takes too much time or
                memory.
        """
        job = json.dumps({"template": template, "given": dict(given)}).encode() + b"\n"
        with self._turn:
            reply = self._answer(job)
        if "failure" in reply:
            raise ProbeError(f"the chat template failed: {shown_line(reply['failure'], 300)}")
        return str(reply["text"])

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _answer(self, job: bytes) -> dict[str, Any]:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process = self._started()
        process = self._process
        assert process.stdin is not None
        try:
            process.stdin.write(job)
            process.stdin.flush()
            return _line_of(process, self._time_limit)
        except BrokenPipeError:
            self.close()
            raise ProbeError("the chat template failed: its process ended") from None
        except BaseException:
            # What is left in the pipe belongs to nobody.
            self.close()
            raise

    def _started(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, _PACKAGE_PARENT, str(self._memory_limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # Ctrl+C in the terminal is the owner's to handle.
            start_new_session=True,
        )
        weakref.finalize(self, _end, process)
        try:
            _line_of(process, _START_LIMIT)
        except BaseException:
            _end(process)
            raise
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _line_of(process: subprocess.Popen[bytes], limit: float) -> dict[str, Any]:
    """The next line that the process writes.

    Raises:
        ProbeError: it did not come in time, or the process died.
    """
    assert process.stdout is not None
    deadline = time.monotonic() + limit
    pieces: list[bytes] = []
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not pieces or not pieces[-1].endswith(b"\n"):
            if not selector.select(max(deadline - time.monotonic(), 0.0)):
                raise ProbeError(f"the chat template failed: it took more than {limit:g} s")
            piece = os.read(process.stdout.fileno(), 1 << 16)
            if not piece:
                raise ProbeError("the chat template failed: its process ended, out of memory?")
            pieces.append(piece)
    reply: dict[str, Any] = json.loads(b"".join(pieces))
    return reply


def serve(memory_limit: int) -> None:
    """The process itself: jobs come in as JSON lines, texts go out, until its owner is gone."""
    compiled = lru_cache(maxsize=8)(_environment().from_string)
    # Not every system has such a limit; the time limit holds everywhere.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    _reply({"ready": True})
    for line in sys.stdin.buffer:
        # Should the owner be gone, the default action of the alarm ends a template that hangs.
        signal.setitimer(signal.ITIMER_REAL, 6 * TIME_LIMIT)
        job = json.loads(line)
        _reply(_rendered(compiled, job))
        signal.setitimer(signal.ITIMER_REAL, 0)


def _rendered(compiled: Any, job: dict[str, Any]) -> dict[str, Any]:
    try:
        text = compiled(job["template"]).render(**job["given"])
        if len(text) > LONGEST:
            return {"failure": f"it writes more than {LONGEST:,} characters"}
        return {"text": text}
    except MemoryError:
        return {"failure": f"it takes more than {MEMORY_LIMIT >> 20:,} MiB"}
    except RecursionError:
        return {"failure": "it calls itself without end"}
    except Exception as error:  # a template is a program of its own
        return {"failure": str(error) or type(error).__name__}


def _reply(message: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps(message).encode() + b"\n")
    sys.stdout.buffer.flush()


def _environment() -> Any:
    """The environment of transformers' ``chat_template_utils``."""
    # Late: the client must not wait for them.
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """The ``{% generation %}`` block, which only marks text for training."""

        tags = {"generation"}  # noqa: RUF012 - the attribute of jinja2's base class

        def parse(self, parser: Parser) -> nodes.Node:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _to_json(value: Any, indent: int | None = None, **options: Any) -> str:
    # Jinja's own filter escapes for HTML.
    return json.dumps(value, ensure_ascii=False, indent=indent, **options)
