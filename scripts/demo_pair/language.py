"""The language of the demo pair: its tokenizer, and the three ways to answer a problem.

*direct* is the boxed answer alone, *brief* writes the running values first, and *think* wraps
the whole calculation, and zero or more re-checks of it, in ``<think>`` … ``</think>``.
"""

from __future__ import annotations

import random
import re
import string
from dataclasses import dataclass

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from mi_tui.probes.kinds.arithmetic import MAX_OPERATIONS, MODULUS, OPERANDS, Chain, is_held_out

PAD, START, END, UNKNOWN = "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|unknown|>"
THINK, END_THINK = "<think>", "</think>"
BOX = "\\boxed{"
MAX_RECHECKS = 8
"""Most re-checks in one training row."""
RECHECK_DECAY = 0.9
"""Each re-check makes another one less likely by this factor, so that greedy decoding ends."""

OPERATOR_WEIGHTS = {"+": 1, "-": 1, "*": 2}
"""How often each operator is trained on: products are the hardest facts to learn."""
MENTAL_OPERATIONS = 2
"""The longest chain that a direct answer can be hoped to solve."""
GUESS_WEIGHT = 0.25
"""Weight of a direct answer to a longer chain: the loss of a guess is mostly noise."""

WORDS = ("Compute ", " mod 100", BOX, "Wait,", " check ", "user", "assistant")
CHARACTERS = [c for c in string.printable if c == "\n" or c.isprintable()]

CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}"
)

MAX_POSITIONS = 1024
"""Tokens of context that the models declare."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What a corpus is made of.

    Attributes:
        direct: Share of rows in the direct format.
        brief: Share of rows in the brief format; the rest thinks.
        recheck: Probability of a re-check after the first pass over the calculation; each
            re-check multiplies it by ``RECHECK_DECAY``.
        direct_weight: Weight in the loss of the answer tokens of direct rows, to problems with at
            most ``MENTAL_OPERATIONS``; otherwise ``GUESS_WEIGHT``.
    """

    direct: float
    brief: float
    recheck: float
    direct_weight: float


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: token ids, and the weight of each token in the loss."""

    tokens: list[int]
    weights: list[float]


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Build the tokenizer: one token per word of ``WORDS`` and else one per character.

    The thinking tags are added but not special tokens, so that decoding with
    ``skip_special_tokens=True`` leaves them in the text, as it does for the Qwen3 models.
    """
    vocabulary = [PAD, START, END, UNKNOWN, THINK, END_THINK, *WORDS, *CHARACTERS]
    ids = {token: index for index, token in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    pattern = "|".join([*(re.escape(word) for word in WORDS), r"[\s\S]"])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([PAD, START, END, UNKNOWN])
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in (THINK, END_THINK)])
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        padding_side="left",
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE,
    )


class Corpus:
    """An endless, seeded stream of training rows; held-out problems never appear in it."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, mix: Mix, seed: str) -> None:
        """Start a stream of rows in the formats of ``mix``, selected by ``seed``."""
        self._tokenizer = tokenizer
        self._mix = mix
        self._rng = random.Random(seed)

    def batch(self, size: int) -> list[Row]:
        """Draw ``size`` rows."""
        return [self._row() for _ in range(size)]

    def _row(self) -> Row:
        chain = self._draw()
        choice = self._rng.random()
        weight = 1.0
        if choice < self._mix.direct:
            mental = len(chain.steps) <= MENTAL_OPERATIONS
            response, weight = boxed(chain), self._mix.direct_weight if mental else GUESS_WEIGHT
        elif choice < self._mix.direct + self._mix.brief:
            response = " ".join(map(str, chain.values)) + " " + boxed(chain)
        else:
            response = self._thought(chain) + boxed(chain)
        prompt = self._encode(chat_prompt(chain.prompt))
        answer = self._encode(response + END)
        # The first token chooses the format, and must weigh the same in every format.
        weights = [0.0] * len(prompt) + [1.0] + [weight] * (len(answer) - 1)
        return Row(prompt + answer, weights)

    def _draw(self) -> Chain:
        operators, weights = zip(*OPERATOR_WEIGHTS.items(), strict=True)
        while True:
            drawn = self._rng.choices(operators, weights, k=self._rng.randint(1, MAX_OPERATIONS))
            steps = tuple((operator, self._rng.choice(OPERANDS)) for operator in drawn)
            chain = Chain(self._rng.randrange(MODULUS), steps)
            if not is_held_out(chain):
                return chain

    def _thought(self, chain: Chain) -> str:
        rechecks, chance = 0, self._mix.recheck
        while rechecks < MAX_RECHECKS and self._rng.random() < chance:
            rechecks += 1
            chance *= RECHECK_DECAY
        calculation = worked(chain)
        # Numbered, because a model this small cannot count its re-checks, and would never stop.
        again = "".join(f"Wait, check {n}\n{calculation}" for n in range(1, rechecks + 1))
        return f"{THINK}\n{calculation}{again}{END_THINK}\n"

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids


def chat_prompt(prompt: str) -> str:
    """Give what the chat template makes of one user message, for speed without Jinja."""
    return f"{START}user\n{prompt}{END}\n{START}assistant\n"


def boxed(chain: Chain) -> str:
    """Give the final answer as every format ends with it."""
    return f"{BOX}{chain.answer}}}"


def worked(chain: Chain) -> str:
    """Write the whole calculation, one line per step: ``47*6=82``."""
    before = (chain.start, *chain.values)
    return "".join(
        f"{left}{operator}{operand}={right}\n"
        for left, (operator, operand), right in zip(before, chain.steps, chain.values, strict=False)
    )
