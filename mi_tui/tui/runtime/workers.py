"""Asynchronous work that belongs to a screen and ends with it."""

from collections.abc import Callable, Coroutine
from typing import Any

from textual.dom import DOMNode


def start(
    node: DOMNode,
    work: Callable[[], Coroutine[Any, Any, None]],
    *,
    group: str = "default",
    exclusive: bool = True,
) -> None:
    """Run ``work`` while ``node`` is there; ``exclusive`` ends what the group did before.

    The coroutine is made only when it runs, so that one that is cancelled early leaves none
    behind that was never awaited.
    """
    # Textual's signature does not let mypy infer the result type of a coroutine function.
    node.run_worker(work, group=group, exclusive=exclusive)  # type: ignore[arg-type]
