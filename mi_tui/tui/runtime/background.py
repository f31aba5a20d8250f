"""A daemon thread for slow reads: calls in order, and the app can always quit."""

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], Any], "asyncio.AbstractEventLoop | None", "asyncio.Future[Any] | None"]


class Background:
    """Runs calls one after the other on a thread of its own.

    A thread pool's threads are joined when Python ends, so that a slow disk would hold up
    quitting; this thread is a daemon and is not waited for. Objects that belong to one thread
    (an SQLite connection) can be made and used here.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    async def run(self, call: Callable[[], T]) -> T:
        """Run ``call`` on the thread and return its result, or raise what it raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((call, loop, future))
        return await future

    def run_and_forget(self, call: Callable[[], Any]) -> None:
        """Run ``call`` on the thread; nobody waits for it and its errors are dropped."""
        self._jobs.put((call, None, None))

    def close(self) -> None:
        """End the thread after the calls already queued."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            call, loop, future = job
            if future is not None and future.cancelled():
                continue
            try:
                result = call()
            except Exception as error:
                self._hand_over(loop, _fail, future, error)
            except BaseException as error:  # a panic of a Rust library, which nobody would see
                said = RuntimeError(f"{type(error).__name__}: {error}")
                self._hand_over(loop, _fail, future, said)
            else:
                self._hand_over(loop, _finish, future, result)

    @staticmethod
    def _hand_over(
        loop: asyncio.AbstractEventLoop | None, done: Callable[..., None], *args: Any
    ) -> None:
        if loop is None:
            return
        try:
            loop.call_soon_threadsafe(done, *args)
        except RuntimeError:
            """The app has ended and its loop is closed: nobody waits for the result."""


def _finish(future: "asyncio.Future[Any]", result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
