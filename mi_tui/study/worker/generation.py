"""Generation of rollouts: asks become requests, completions are scored."""

import functools
import hashlib
from collections.abc import Iterable, Sequence

from mi_tui.engines.protocol import Completion, Engine, Request
from mi_tui.engines.thinking_cap import CappedThinking
from mi_tui.plan.recipe import Recipe
from mi_tui.plan.thinking_tags import ThinkingTags
from mi_tui.probes.problem import Probe, Score
from mi_tui.probes.scoring.pool import ScoringPool
from mi_tui.probes.thinking import Parts, parts_of
from mi_tui.study.storage.records import PlannedAsk, Rollout
from mi_tui.study.storage.store import Store
from mi_tui.study.worker.uncapped_responses import UncappedResponses

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
        self._capped = CappedThinking(engine, tags)
        self._uncapped = UncappedResponses(store, tags, engine.encode)
        self._reused: list[Rollout] = []
        self._pool = pool
        self._store = store
        self._problems = [(probe, problem) for probe in probes for problem in probe.problems]
        hashes = {probe.name: probe.sha256 for probe in probes}
        self._seeds = [
            functools.partial(rollout_seed, seed, hashes[probe.name], problem.id)
            for probe, problem in self._problems
        ]
        self._prompts: dict[int, tuple[str, tuple[int, ...]]] = {}
        self._recipes = store.recipes()
        self._asks: dict[int, PlannedAsk] = {}
        self._scoring: dict[int, tuple[Completion, Parts, int]] = {}
        self._told: set[int] = set()
        self._next_id = 1

    @property
    def running(self) -> int:
        """Asks that are queued, being generated, being scored or about to be stored."""
        return len(self._asks) + len(self._reused)

    @property
    def generating(self) -> int:
        """Asks that the engine has not finished."""
        return self._engine.pending

    def start(self, asks: Iterable[PlannedAsk]) -> None:
        """Hand asks to the engine; what a thinking cap leaves as it is stored is taken over."""
        requests: list[Request] = []
        prompts: dict[int, str] = {}
        for ask in asks:
            if self._recipe(ask).thinking_cap is None:
                requests.append(self._request(ask))
            elif (reused := self._reusable(ask)) is not None:
                self._reused.append(reused)
            else:
                requests.append(self._request(ask))
                prompts[requests[-1].id] = self._prompt(ask.problem)[0]
        self._capped.add(requests, prompts)

    def advance(self, seconds: float) -> list[Rollout]:
        """Generate for about ``seconds``, score what finished, store what is scored."""
        for completion in self._capped.step(seconds):
            self._submit(completion)
        reused, self._reused = self._reused, []
        wait = 0.0 if self._engine.pending or reused else _SCORE_WAIT_SECONDS
        done = reused + [self._rollout(key, score) for key, score in self._pool.poll(wait)]
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
        self._reused = [done for done in self._reused if done.ask.recipe not in recipes]
        self._capped.cancel(ids)
        for number in ids:
            if number not in self._scoring:
                del self._asks[number]

    def example(self, probe: Probe) -> str:
        """The probe's first problem as the model sees it."""
        return self._engine.render(probe.problems[0].messages)

    def _recipe(self, ask: PlannedAsk) -> Recipe:
        if ask.recipe >= len(self._recipes):
            self._recipes = self._store.recipes()
        return self._recipes[ask.recipe]

    def _reusable(self, ask: PlannedAsk) -> Rollout | None:
        return self._uncapped.rollout(ask, self._recipes, self._prompt(ask.problem)[0])

    def _request(self, ask: PlannedAsk) -> Request:
        probe, problem = self._problems[ask.problem]
        number, self._next_id = self._next_id, self._next_id + 1
        self._asks[number] = ask
        return Request(
            id=number,
            recipe=self._recipe(ask),
            prompt=self._prompt(ask.problem)[1],
            seed=self._seeds[ask.problem](ask.sample),
            max_new_tokens=probe.max_new_tokens,
            as_exported=problem.split == "held-out",
        )

    def _prompt(self, number: int) -> tuple[str, tuple[int, ...]]:
        """A problem's prompt, as text and as token ids."""
        if number not in self._prompts:
            text = self._engine.render(self._problems[number][1].messages)
            self._prompts[number] = text, self._engine.encode(text)
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
