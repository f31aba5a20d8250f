"""Questions to a server about a study's problems, and the answers kept so far."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from pydantic import Field

from mi_tui.analysis.observations import ProblemRow
from mi_tui.engines.openai.client import (
    Answer,
    Endpoint,
    EndpointError,
    OpenAIClient,
    Question,
    only_model,
)
from mi_tui.plan.base import Plan
from mi_tui.plan.recipe import Recipe
from mi_tui.probes.problem import Probe, Problem
from mi_tui.study.storage.store import Store
from mi_tui.study.worker.generation import rollout_seed

Progress = Callable[[int, int], None]
"""Told how many answers of how many have come."""


class ConfirmationPlan(Plan):
    """How a server is asked. ``samples`` per problem; ``concurrency`` requests at once."""

    model: str | None = None
    samples: int = Field(default=4, ge=1)
    concurrency: int = Field(default=8, ge=1)


@dataclass(frozen=True, slots=True)
class AskedSample:
    """One sample of one problem, which is the row ``row`` of the study's problems."""

    probe: Probe
    problem: Problem
    row: int
    sample: int

    @property
    def place(self) -> tuple[int, int]:
        """The index of the problem, and the sample."""
        return self.row, self.sample


def questions(store: Store, samples: int) -> tuple[list[AskedSample], tuple[ProblemRow, ...]]:
    """The held-out problems (all, where none is), each ``samples`` times."""
    problems = [(probe, problem) for probe in store.probes() for problem in probe.problems]
    rows = store.problem_rows()
    chosen = [at for at, row in enumerate(rows) if row.held_out] or list(range(len(rows)))
    return [
        AskedSample(*problems[at], at, sample) for at in chosen for sample in range(samples)
    ], rows


class ServerQuestions:
    """Questions to one server about one recipe, and the answers that it has given so far.

    Args:
        store: of the study; answers are kept there until they are forgotten.
        endpoint: the server.
        plan: how it is asked.
        recipe: what the server is said to run; its decoding is asked for.
        seed: of the study.
        template_arguments: what the chat template is given beside the messages.
    """

    def __init__(
        self,
        store: Store,
        endpoint: Endpoint,
        plan: ConfirmationPlan,
        recipe: Recipe,
        seed: int,
        template_arguments: Mapping[str, Any],
    ) -> None:
        self._template_arguments = template_arguments
        self._store = store
        self._endpoint = endpoint
        self._plan = plan
        self._recipe = recipe
        self._seed = seed

    async def ask_all(
        self, asked: Sequence[AskedSample], progress: Progress | None = None
    ) -> tuple[str, list[Answer], str]:
        """The model's name, an answer to each question, and a remark about the server.

        Only what was not answered before is asked.

        Raises:
            EndpointError: the server cannot be reached or does not answer as it should.
        """
        gate = asyncio.Semaphore(self._plan.concurrency)
        async with OpenAIClient(self._endpoint) as client:
            model = self._plan.model or only_model(await client.models())
            about = self._about(model)
            kept = self._store.answers(about)
            answers = {
                each.place: answer
                for each in asked
                if (answer := _kept_answer(kept.get(each.place, {}))) is not None
            }

            async def one(wanted: AskedSample) -> None:
                async with gate:
                    answer = await client.ask(model, self._question(wanted))
                self._store.add_answer(about, *wanted.place, asdict(answer))
                answers[wanted.place] = answer
                if progress:
                    progress(len(answers), len(asked))

            try:
                async with asyncio.TaskGroup() as group:
                    for wanted in asked:
                        if wanted.place not in answers:
                            group.create_task(one(wanted))
            except BaseExceptionGroup as failures:
                raise _told(failures.exceptions[0], len(answers), len(asked)) from None
            return model, [answers[wanted.place] for wanted in asked], client.remark

    def forget(self, model: str) -> None:
        """Drop the answers of a model: the next time all is asked anew."""
        self._store.drop_answers(self._about(model))

    def _about(self, model: str) -> str:
        """What the answers depend on beside problem and sample; times depend on concurrency."""
        return json.dumps([self._endpoint.base, model, self._recipe.key, self._plan.concurrency])

    def _question(self, wanted: AskedSample) -> Question:
        return Question(
            wanted.problem.messages,
            self._recipe.decoding,
            rollout_seed(self._seed, wanted.probe.sha256, wanted.problem.id, wanted.sample),
            wanted.probe.max_new_tokens,
            self._template_arguments,
        )


def _kept_answer(kept: Mapping[str, Any]) -> Answer | None:
    """An answer as it was kept; ``None`` of one that lacks what this version needs: ask again."""
    needed = {field.name for field in fields(Answer) if field.default is MISSING}
    if not needed <= kept.keys():
        return None
    return Answer(**{f.name: kept[f.name] for f in fields(Answer) if f.name in kept})


def _told(failure: BaseException, done: int, total: int) -> BaseException:
    """The failure of the server, with what was not lost by it."""
    if not isinstance(failure, EndpointError) or not done:
        return failure
    return EndpointError(
        f"{failure}; {done} of {total} answers are kept, and the same command goes on"
    )
