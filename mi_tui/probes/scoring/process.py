"""The scoring process: jobs come in as JSON lines, scores go out.

It is started by ``scoring.pool``, which kills it when a scorer hangs. Whatever a scorer prints
goes to nowhere: standard output belongs to the protocol alone.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from dataclasses import asdict
from typing import IO, Any

from mi_tui.errors import MiTuiError
from mi_tui.plan.thinking_tags import KNOWN, ThinkingTags
from mi_tui.probes.problem import Problem, Score
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.scoring.scorer import scorer

PATIENCE = 6
"""How many times a job's limit of processor time it may take by the clock: the machine may be busy,
suspended or frozen, and that is no fault of an answer."""

LOADING = 120
"""Seconds by the clock that a scorer's libraries may take to load."""

OUT_OF_MEMORY = "scorer ran out of memory"
MISSING = "scorer crashed: a library is missing"
"""The failures after which the pool replaces the process: what is left behind is not trusted."""


def main(time_limit: float, memory_limit: int) -> None:
    """Score jobs until standard input ends.

    Args:
        time_limit: seconds of processor time for one job, after which a signal ends the process.
            Should the pool be gone, an alarm ends one that only waits.
        memory_limit: bytes of address space; a scorer that wants more fails.
    """
    # Not every system has such a limit; the time limit holds everywhere.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (memory_limit, memory_limit))
    replies = _take_standard_output()
    _send(replies, {"ready": True})
    for line in sys.stdin.buffer:
        # The default action of the alarm ends the process, even inside a library's C code.
        message = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, 2 * PATIENCE * time_limit + LOADING)
        if "load" not in message:
            signal.setitimer(signal.ITIMER_PROF, time_limit)
        _handle(message, replies)
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _take_standard_output() -> IO[bytes]:
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return replies


def _handle(message: dict[str, Any], replies: IO[bytes]) -> None:
    if "load" in message:
        _load(message["load"])
        _send(replies, {"loaded": message["load"], "failure": _unusable.get(message["load"])})
        return
    _send(replies, {"key": message["key"], **asdict(_score(message))})


_unusable: dict[str, str] = {}


def _load(name: str) -> None:
    """Import what a scorer needs; its first job must not pay for that out of its time."""
    try:
        scorer(name)
    except MiTuiError as error:
        _unusable[name] = str(error)
    except Exception as error:
        _unusable[name] = f"scorer {name} cannot be loaded: {_reason(error)}"


def _score(message: dict[str, Any]) -> Score:
    if (failure := _unusable.get(message["scorer"])) is not None:
        return Score(None, failure=failure)
    problem = message["problem"]
    problem["messages"] = tuple(problem["messages"])
    tags = KNOWN if message["tags"] is None else [ThinkingTags(**one) for one in message["tags"]]
    try:
        return judge(
            message["scorer"], Problem(**problem), message["text"], message["truncated"], tags
        )
    except MemoryError:
        return Score(None, failure=OUT_OF_MEMORY)
    except ImportError as error:
        return Score(None, failure=f"{MISSING}: {_reason(error)}")
    except MiTuiError as error:
        return Score(None, failure=str(error))
    except Exception as error:
        return Score(None, failure=f"scorer crashed: {_reason(error)}")


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _send(replies: IO[bytes], message: dict[str, Any]) -> None:
    replies.write(json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), int(sys.argv[2]))
