"""The order of keys: each is dispatched when the one before it has had its effect."""

from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from textual import events
from textual.app import App
from textual.message import Message
from textual.widget import Widget

_ROUNDS = 3
"""Ways to the app until what a key led to is there, too: a message, and the one it causes."""

_PATIENCE = 0.5
"""Seconds after which a key no longer waits: for a widget that went with its messages."""


class Reached(Message):
    """Bubbles to the app behind a key, on the way that the key's own messages take."""

    def __init__(self, number: int, rounds: int) -> None:
        super().__init__()
        self.number = number
        self.rounds = rounds


class KeyOrder:
    """Holds keys back while the one before may still move the focus or open a screen.

    Textual sends a key to the widget that has the focus when the key arrives. Of several that
    arrive at once (a slow link, ``tmux send-keys``) those behind a Tab would still go to the
    field before. A key that a field takes as text needs no waiting: the next one queues behind it.

    Args:
        app: the app whose keys these are.
        dispatch: what handles an event as Textual does.
    """

    def __init__(self, app: App[Any], dispatch: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app = app
        self._dispatch = dispatch
        self._waiting: deque[events.Event] = deque()
        self._number = 0
        self._busy = False
        self._target: Widget | None = None
        self._screen: Widget | None = None

    async def take(self, event: events.Key | events.Paste) -> None:
        """Dispatch a key or a paste, or keep it until it is its turn."""
        if self._busy:
            self._waiting.append(event)
            self._app.set_timer(_PATIENCE, lambda number=self._number: self._give_up(number))
        else:
            await self._send(event)

    async def reached(self, message: Reached) -> None:
        """The way behind a key is free; look once more, or dispatch what waits."""
        is_old = message.number != self._number
        if is_old or not self._busy or not self._app.screen_stack:  # without one the app ends
            return
        screen = self._app.screen
        opened = screen is not self._screen
        if opened or message.rounds > 1:
            self._screen = screen
            target = self._target
            if opened or target is None or not target.is_attached:
                target = screen
            self._mark(target, _ROUNDS if opened else message.rounds - 1)
        else:
            await self._next()

    async def _send(self, event: events.Event) -> None:
        target: Widget = self._app.focused or self._app.screen
        self._number += 1
        self._target, self._screen = target, self._app.screen
        is_text = isinstance(event, events.Paste) or (
            isinstance(event, events.Key) and target.check_consume_key(event.key, event.character)
        )
        self._busy = not is_text
        await self._dispatch(event)
        if self._busy:
            self._mark(target, _ROUNDS)

    def _mark(self, target: Widget, rounds: int) -> None:
        if not target.post_message(Reached(self._number, rounds)):
            self._app.post_message(Reached(self._number, rounds))

    async def _next(self) -> None:
        self._busy = False
        while self._waiting and not self._busy:
            await self._send(self._waiting.popleft())

    async def _give_up(self, number: int) -> None:
        if self._busy and number == self._number:
            await self._next()
