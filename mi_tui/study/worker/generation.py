"""Generation of rollouts: asks become requests, completions are scored."""

import functools
import hashlib
from collections.abc import Iterable, Sequence

from mi_tui.engines.protocol import Completion, Engine, Request
from mi_tui.plan.thinking_tags import ThinkingTags
from mi_tui.probes.problem import Probe, Problem, Score
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.probes.thinking import Parts, parts_of
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.store import Store

_SCORE_WAIT_SECONDS = 0.05


def rollout_seed(study_seed: int, probe_sha256: str, problem: str, sample: int) -> int:
    """The seed of a rollout, 63 bits: the same under every recipe, so that λ compare paired."""
    text = f"{study_seed}/{probe_sha256}/{problem}/{sample}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


class Generation:
    """Carries asks through the engine and the scoring pool into the store.

    Args:
        engine: generates.
        pool: scores, in processes of its own.
        store: keeps.
        probes: the frozen probes, in the order of the store.
        seed: the study's seed.
        tags: what may mark thinking.
    """

    def __init__(
        self,
        engine: Engine,
        pool: ScoringPool,
        store: Store,
        probes: list[Probe],
        seed: int,
        tags: Sequence[ThinkingTags],
    ) -> None:
        self._tags = tags
        self._engine = engine
        self._pool = pool
        self._store = store
        self._problems = [(probe, problem) for probe in probes for problem in probe.problems]
        hashes = {probe.name: probe.sha256 for probe in probes}
        self._seeds = [
            functools.partial(rollout_seed, seed, hashes[probe.name], problem.id)
            for probe, problem in self._problems
        ]
        self._prompts: dict[int, tuple[int, ...]] = {}
        self._recipes = store.recipes()
        self._asks: dict[int, PlannedAsk] = {}
        self._scoring: dict[int, tuple[Completion, Parts, int]] = {}
        self._told: set[int] = set()
        self._next_id = 1

    @property
    def running(self) -> int:
        """Asks that are queued, being generated or being scored."""
        return len(self._asks)

    @property
    def generating(self) -> int:
        """Asks that the engine has not finished."""
        return self._engine.pending

    def start(self, asks: Iterable[PlannedAsk]) -> None:
        """Hand asks to the engine."""
        requests = [self._request(ask) for ask in asks]
        self._engine.add(requests)

    def advance(self, seconds: float) -> list[Rollout]:
        """Generate for about ``seconds``, score what finished, store what is scored."""
        for completion in self._engine.step(seconds):
            self._submit(completion)
        wait = 0.0 if self._engine.pending else _SCORE_WAIT_SECONDS
        done = [self._rollout(key, score) for key, score in self._pool.poll(wait)]
        if done:
            self._store.add_rollouts(done)
            self._tell_of(done)
        return done

    def _tell_of(self, done: Iterable[Rollout]) -> None:
        """Note in the log what could not be scored, once per problem."""
        for rollout in done:
            problem = rollout.ask.problem
            if rollout.score is None and problem not in self._told:
                self._told.add(problem)
                probe, asked = self._problems[problem]
                what = f"{probe.name} {asked.id}: a response is not scored: {rollout.failure}"
                self._store.log(what, "warning")

    def cancel(self, recipes: set[int]) -> None:
        """Forget what is under way for the recipes of these indices."""
        ids = [i for i, ask in self._asks.items() if ask.recipe in recipes]
        self._engine.cancel(ids)
        for number in ids:
            if number not in self._scoring:
                del self._asks[number]

    def example(self, probe: Probe) -> str:
        """The probe's first problem as the model sees it."""
        return self._engine.render(probe.problems[0].messages)

    def _request(self, ask: PlannedAsk) -> Request:
        if ask.recipe >= len(self._recipes):
            self._recipes = self._store.recipes()
        probe, problem = self._problems[ask.problem]
        number, self._next_id = self._next_id, self._next_id + 1
        self._asks[number] = ask
        return Request(
            id=number,
            recipe=self._recipes[ask.recipe],
            prompt=self._prompt(ask.problem, problem),
            seed=self._seeds[ask.problem](ask.sample),
            max_new_tokens=probe.max_new_tokens,
            as_exported=problem.split == "held-out",
        )

    def _prompt(self, number: int, problem: Problem) -> tuple[int, ...]:
        if number not in self._prompts:
            self._prompts[number] = self._engine.encode(self._engine.render(problem.messages))
        return self._prompts[number]

    def _submit(self, completion: Completion) -> None:
        ask = self._asks[completion.request_id]
        probe, problem = self._problems[ask.problem]
        truncated = completion.finish_reason == "length"
        parts = parts_of(completion.text, truncated, self._tags)
        think_tokens = len(self._engine.encode(parts.thought)) if parts.thought else 0
        self._scoring[completion.request_id] = (
            completion,
            parts,
            min(think_tokens, completion.token_count),
        )
        self._pool.submit(completion.request_id, probe.scorer, problem, completion.text, truncated)

    def _rollout(self, number: int, score: Score) -> Rollout:
        ask = self._asks.pop(number)
        completion, parts, think_tokens = self._scoring.pop(number)
        truncated = completion.finish_reason == "length"
        return Rollout(
            ask=ask,
            seed=self._seeds[ask.problem](ask.sample),
            text=completion.text,
            score=0.0 if truncated else score.value,
            tokens=completion.token_count,
            think_tokens=think_tokens,
            thinking=parts.closed,
            truncated=truncated,
            answer=score.answer,
            failure=None if truncated else score.failure,
            seconds=completion.seconds,
        )
