"""Measurement of demo-pair mixtures on held-out problems."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, quantiles

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from demo_pair.language import chat_prompt
from mi_tui.probes.kinds.arithmetic import Chain, held_out_chains
from mi_tui.probes.thinking import parts_of

LAMBDAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
PROBLEMS = 200
SAMPLES = 4
OPERATIONS = (2, 3, 4, 5)
TEMPERATURE = 0.6
TOP_P = 0.95
MAX_TOKENS = 320
BATCH = 100

Strength = Callable[[str], float]
"""The λ of a parameter, from its name."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One sampled response.

    Attributes:
        answer: The last boxed integer; None if there is none or the response was truncated.
        correct: Whether that is the problem's answer.
        tokens: Generated tokens, the end token included.
        thinks: Whether the response closes a thought.
        truncated: Whether the token cap cut it.
    """

    answer: int | None
    correct: bool
    tokens: int
    thinks: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class Measurement:
    """One recipe, measured.

    Attributes:
        name: What was mixed, as a table shows it.
        strength: λ; 1.0 inside the scope for an ablation.
        mean: Mean@k in percent; a truncated response is incorrect.
        pass_at_k: Share of problems that any sample solved, in percent; k is ``SAMPLES``.
        vote_at_k: Accuracy of the commonest answer, in percent.
        tokens: Mean generated tokens.
        tokens_p95: Their 95th percentile.
        think_percent: Responses that close a thought.
        truncated_percent: Responses that the token cap cut.
    """

    name: str
    strength: float
    mean: float
    pass_at_k: float
    vote_at_k: float
    tokens: float
    tokens_p95: float
    think_percent: float
    truncated_percent: float


def ablations(layers: int) -> dict[str, Strength]:
    """Name the scopes that are tried at λ = 1; outside its scope a recipe is Instruct."""

    def layer(name: str) -> int:
        found = re.search(r"\.layers\.(\d+)\.", name)
        return int(found[1]) if found else -1

    half = layers // 2
    return {
        "FFN only": lambda name: float(".mlp." in name),
        "attention only": lambda name: float(".self_attn." in name),
        f"layers {half}–{layers - 1} only": lambda name: float(layer(name) >= half),
        f"layers 0–{half - 1} only": lambda name: float(0 <= layer(name) < half),
    }


class Bench:
    """Mixes a pair and samples the mixture on the held-out problems.

    Every recipe sees the same problems and the same random seed.
    """

    def __init__(
        self,
        instruct: Qwen3ForCausalLM,
        thinking: Qwen3ForCausalLM,
        tokenizer: PreTrainedTokenizerFast,
        seed: int,
        report: Callable[[str], None],
    ) -> None:
        """Take the pair in fp32; ``instruct`` is overwritten by each mixture in turn."""
        self._model = instruct
        self._ends = {
            name: (parameter.detach().clone(), thinking.get_parameter(name).detach())
            for name, parameter in instruct.named_parameters()
        }
        self._tokenizer = tokenizer
        self._seed = seed
        self._report = report
        # Sorted by length, so that a batch's rows end at about the same time.
        chains = held_out_chains(seed, PROBLEMS, OPERATIONS)
        self._chains = sorted(chains, key=lambda chain: len(chain.steps))

    def measure(
        self, name: str, strength: float, per_parameter: Strength | None = None
    ) -> Measurement:
        """Measure one recipe: λ is ``strength``, or by parameter if ``per_parameter`` is given."""
        started = time.monotonic()
        with torch.no_grad():
            for key, (low, high) in self._ends.items():
                scale = strength if per_parameter is None else per_parameter(key)
                self._model.get_parameter(key).copy_(low + scale * (high - low))
        torch.manual_seed(self._seed)
        copies = [chain for chain in self._chains for _ in range(SAMPLES)]
        rollouts: list[Rollout] = []
        for first in range(0, len(copies), BATCH):
            rollouts += self._sample(copies[first : first + BATCH])
        result = summarise(name, strength, rollouts)
        self._report(
            f"{name}: score {result.mean:.1f} %, {result.tokens:.1f} tokens, "
            f"thinks {result.think_percent:.1f} %, truncated {result.truncated_percent:.1f} % "
            f"({time.monotonic() - started:.0f} s)"
        )
        return result

    def _sample(self, chains: Sequence[Chain]) -> list[Rollout]:
        prompts = [chat_prompt(chain.prompt) for chain in chains]
        inputs = self._tokenizer(prompts, return_tensors="pt", padding=True)
        with torch.inference_mode():
            output = self._model.generate(  # type: ignore[misc]
                input_ids=inputs["input_ids"],
                attention_mask=inputs["attention_mask"],
                do_sample=True,
                temperature=TEMPERATURE,
                top_p=TOP_P,
                top_k=0,
                max_new_tokens=MAX_TOKENS,
            )
        responses = output[:, inputs["input_ids"].shape[1] :].tolist()
        return [self._score(*pair) for pair in zip(chains, responses, strict=True)]

    def _score(self, chain: Chain, response: list[int]) -> Rollout:
        end = self._tokenizer.eos_token_id
        truncated = end not in response
        tokens = response if truncated else response[: response.index(end) + 1]
        text = str(self._tokenizer.decode(tokens, skip_special_tokens=True))
        boxes = [] if truncated else re.findall(r"\\boxed\{(\d+)\}", text)
        answer = int(boxes[-1]) if boxes else None
        return Rollout(
            answer, answer == chain.answer, len(tokens), parts_of(text, truncated).closed, truncated
        )


def summarise(name: str, strength: float, rollouts: Sequence[Rollout]) -> Measurement:
    """Average rollouts that come problem by problem, ``SAMPLES`` of each."""
    problems = [rollouts[i : i + SAMPLES] for i in range(0, len(rollouts), SAMPLES)]
    return Measurement(
        name=name,
        strength=strength,
        mean=100 * fmean(r.correct for r in rollouts),
        pass_at_k=100 * fmean(any(r.correct for r in problem) for problem in problems),
        vote_at_k=100 * fmean(voted_right(problem) for problem in problems),
        tokens=fmean(r.tokens for r in rollouts),
        tokens_p95=quantiles([r.tokens for r in rollouts], n=20)[-1],
        think_percent=100 * fmean(r.thinks for r in rollouts),
        truncated_percent=100 * fmean(r.truncated for r in rollouts),
    )


def voted_right(problem: Sequence[Rollout]) -> bool:
    """Say whether the commonest answer is right; of equally common ones the first counts."""
    answers = Counter(r.answer for r in problem if r.answer is not None)
    if not answers:
        return False
    winner = answers.most_common(1)[0][0]
    return any(r.correct and r.answer == winner for r in problem)
