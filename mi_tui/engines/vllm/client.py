"""A client of vLLM's asynchronous engine, with an event loop on a thread of its own."""

import asyncio
import queue
import threading
import time
from collections.abc import Coroutine
from typing import Any

from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM

from mi_tui.engines.protocol import EngineError
from mi_tui.engines.vllm.orphans import Watch
from mi_tui.engines.vllm.response import PrefixCache, Response

_SHUTDOWN_SECONDS = 10.0


class Client:
    """One vLLM engine; its own loop thread lets vLLM go on while the study scores and plans.

    Raises:
        EngineError: vLLM cannot start.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        self._responses: queue.SimpleQueue[Response | Exception] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vllm", daemon=True)
        self._thread.start()
        self._running: set[int] = set()
        self._watch = Watch()
        try:
            self._engine: AsyncLLM = self._wait(_start(arguments))
        except Exception as error:
            self._watch.end()
            self._stop_loop()
            raise EngineError(f"vLLM cannot start, see the log: {_one_line(error)}") from error

    @property
    def running(self) -> int:
        """Requests handed over and not yet returned."""
        return len(self._running)

    @property
    def cache(self) -> PrefixCache:
        """The cache of prompts of each copy of the model."""
        config = self._engine.vllm_config
        kept = config.cache_config
        return PrefixCache(
            enabled=bool(kept.enable_prefix_caching),
            block=kept.block_size,
            tokens=kept.kv_cache_size_tokens or 0,
            copies=config.parallel_config.data_parallel_size,
            longest=config.model_config.max_model_len,
        )

    def submit(
        self,
        request_id: int,
        prompt: tuple[int, ...],
        salt: str,
        sampling: dict[str, Any],
        copy: int | None = None,
    ) -> None:
        """Hand a request to vLLM.

        Args:
            request_id: the caller's id.
            prompt: token ids.
            salt: prompts are shared in the cache under equal salts only.
            sampling: keyword arguments of ``SamplingParams``.
            copy: the data-parallel copy to ask; the least busy one by default.
        """
        self._running.add(request_id)
        work = self._generate(request_id, prompt, salt, sampling, copy)
        asyncio.run_coroutine_threadsafe(work, self._loop)

    def collect(self, seconds: float) -> list[Response]:
        """What finishes within ``seconds``; earlier when nothing runs any more.

        Raises:
            EngineError: vLLM failed.
        """
        until = time.perf_counter() + seconds
        found = []
        while self._running:
            try:
                got = self._responses.get(timeout=max(0.0, until - time.perf_counter()))
            except queue.Empty:
                break
            if isinstance(got, Exception):
                raise EngineError(f"vLLM failed, see the log: {_one_line(got)}") from got
            if got.id in self._running:  # else it was cancelled
                self._running.discard(got.id)
                found.append(got)
        return found

    def abort(self, request_ids: set[int]) -> None:
        """Forget requests; unknown ids are ignored."""
        known = self._running & request_ids
        self._running -= known
        if known:
            self._wait(self._engine.abort([str(number) for number in known]))

    def call(self, method: str, *args: Any) -> list[Any]:
        """Call a method of every worker process and return what each says.

        Raises:
            EngineError: it failed in one of them.
        """
        try:
            answers: list[Any] = self._wait(self._engine.collective_rpc(method, args=args))
        except Exception as error:
            raise EngineError(f"vLLM failed in {method}: {_one_line(error)}") from error
        return answers

    def reset_prefix_cache(self) -> bool:
        """Forget all cached prompts; whether vLLM could."""
        return bool(self._wait(self._engine.reset_prefix_cache()))

    def close(self) -> None:
        """End vLLM's processes."""
        self._wait(_shut_down(self._engine))
        del self._engine
        self._watch.end()
        self._stop_loop()

    async def _generate(
        self,
        request_id: int,
        prompt: tuple[int, ...],
        salt: str,
        sampling: dict[str, Any],
        copy: int | None,
    ) -> None:
        started = time.monotonic()
        try:
            parameters = SamplingParams(output_kind=RequestOutputKind.FINAL_ONLY, **sampling)
            inputs = {"prompt_token_ids": list(prompt), "cache_salt": salt}
            async for output in self._engine.generate(
                inputs, parameters, str(request_id), data_parallel_rank=copy
            ):
                last = output
            if not last.outputs or last.outputs[0].finish_reason == "abort":
                return
            self._responses.put(_response(request_id, last, time.monotonic() - started))
        except asyncio.CancelledError:
            raise
        except Exception as error:
            self._responses.put(error)

    def _wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(_cancel_all())
        self._loop.close()


async def _start(arguments: dict[str, Any]) -> AsyncLLM:
    return AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments, disable_log_stats=False))


async def _shut_down(engine: AsyncLLM) -> None:
    engine.shutdown(timeout=_SHUTDOWN_SECONDS)


def _response(request_id: int, output: Any, seconds: float) -> Response:
    made = output.outputs[0]
    times = output.metrics
    tokens = tuple(made.token_ids)
    decoding = times.last_token_ts - times.first_token_ts
    return Response(
        id=request_id,
        tokens=tokens,
        stopped=made.finish_reason == "stop",
        first_token=times.first_token_latency,
        per_token=decoding / max(1, len(tokens) - 1),
        running=min(seconds, times.last_token_ts - times.scheduled_ts),
        cached=output.num_cached_tokens or 0,
        logprobs=tuple(
            {token: entry.logprob for token, entry in step.items()} for step in made.logprobs or ()
        ),
    )


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) < 400 else text[:400] + " …"
