"""The process of one replica: an engine that takes calls over a pipe."""

import os
import signal
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from mi_tui.engines.protocol import Completion, Engine
from mi_tui.errors import MiTuiError
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair

_SLICE_SECONDS = 0.1
"""How long it generates before it listens again."""


@dataclass(frozen=True, slots=True)
class Done:
    """Responses that have finished."""

    completions: list[Completion]


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a question; the first one, unasked, are the capabilities."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """Why the process ends."""

    reason: str


def serve(connection: Connection, plan: EnginePlan, pair: Pair, longest: int = 0) -> None:
    """Load the pair and generate until the other end of the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        _work(connection, plan, pair, longest)
    except (EOFError, ConnectionError):
        pass  # the parent has closed, or is gone
    except MiTuiError as error:
        connection.send(Failed(str(error)))
    except Exception as error:
        traceback.print_exc()
        connection.send(Failed(f"unexpected {type(error).__name__}: {error}"))
    finally:
        # Nothing is worth an orderly end: libraries' threads could only hold it up.
        os._exit(0)


def _work(connection: Connection, plan: EnginePlan, pair: Pair, longest: int) -> None:
    from mi_tui.engines.transformers.engine import TransformersEngine

    engine = TransformersEngine.open(plan, pair, longest)
    connection.send(Result(engine.capabilities))
    while True:
        while not engine.pending or connection.poll():
            what, values = connection.recv()
            _obey(connection, engine, what, values)
        if done := engine.step(_SLICE_SECONDS):
            connection.send(Done(done))


def _obey(connection: Connection, engine: Engine, what: str, values: tuple[Any, ...]) -> None:
    if what == "add":
        engine.add(*values)
    elif what == "cancel":
        engine.cancel(*values)
    else:
        asked = getattr(engine, what)
        connection.send(Result(asked(*values) if callable(asked) else asked))
