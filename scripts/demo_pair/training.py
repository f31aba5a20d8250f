"""Training of the demo pair: a base from nothing, and two fine-tunes."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from demo_pair.language import MAX_POSITIONS, Corpus, Mix, Row

BATCH = 32
MICROBATCH = 6
LOG_EVERY = 50


@dataclass(frozen=True, slots=True)
class Course:
    """How one of the models is trained, and how it asks to be sampled.

    Attributes:
        name: The folder it is saved in.
        mix: What its corpus is made of.
        steps: Optimizer steps; fixed, never a time limit, so that a retrain is reproducible.
        learning_rate: The peak of the cosine schedule.
        warmup: Steps from zero to that peak.
        projections_only: Train only the projection matrices, so that embeddings and norms stay
            those of the base and an ablation over modules sees attention and FFN alone.
        temperature: For its generation config.
        top_p: For its generation config.
    """

    name: str
    mix: Mix
    steps: int
    learning_rate: float
    warmup: int
    projections_only: bool
    temperature: float
    top_p: float


BASE = Course(
    name="base",
    mix=Mix(direct=0.30, brief=0.30, recheck=0.3, direct_weight=4.0),
    steps=6000,
    learning_rate=3e-3,
    warmup=150,
    projections_only=False,
    temperature=0.6,
    top_p=0.95,
)
INSTRUCT = Course(
    name="instruct",
    mix=Mix(direct=0.60, brief=0.40, recheck=0.0, direct_weight=1.0),
    steps=200,
    learning_rate=8e-4,
    warmup=10,
    projections_only=True,
    temperature=0.7,
    top_p=0.8,
)
THINKING = Course(
    name="thinking",
    mix=Mix(direct=0.0, brief=0.02, recheck=0.75, direct_weight=1.0),
    steps=300,
    learning_rate=8e-4,
    warmup=10,
    projections_only=True,
    temperature=0.6,
    top_p=0.95,
)


def prepare_torch(threads: int) -> None:
    """Set up this process for training tiny models on a CPU."""
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    # Activations are a few MB each: by default glibc maps and unmaps every one of them afresh,
    # which costs as much time as the arithmetic. Elsewhere than on glibc nothing is changed.
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        m_trim_threshold, m_mmap_threshold, one_gib = -1, -3, 1 << 30
        mallopt(m_mmap_threshold, one_gib)
        mallopt(m_trim_threshold, one_gib)


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> Qwen3ForCausalLM:
    """Make an untrained model of the pair's shape (about 0.6 M parameters)."""
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=MAX_POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": 1e4},
        initializer_range=0.05,
        tie_word_embeddings=True,
        use_cache=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    torch.manual_seed(seed)
    return Qwen3ForCausalLM(config)


def train(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    course: Course,
    seed: int,
    report: Callable[[str], None],
) -> None:
    """Train ``model`` in place, telling ``report`` how it goes."""
    corpus = Corpus(tokenizer, course.mix, f"{seed} {course.name}")
    parameters = trainable(model, course.projections_only)
    optimizer = torch.optim.AdamW(
        parameters, lr=course.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, cosine(course.warmup, course.steps))
    model.train()
    started = time.monotonic()
    for step in range(1, course.steps + 1):
        loss = accumulate(model, corpus.batch(BATCH))
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % LOG_EVERY == 0 or step == course.steps:
            seconds = time.monotonic() - started
            left = seconds / step * (course.steps - step)
            report(
                f"{course.name}: step {step}/{course.steps}  loss {loss:.3f}  "
                f"{seconds:.0f} s, about {left:.0f} s left"
            )
    model.train(False)


def trainable(model: Qwen3ForCausalLM, projections_only: bool) -> list[nn.Parameter]:
    """Freeze what must not be trained and return the rest."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not projections_only or name.endswith("_proj.weight"))
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def cosine(warmup: int, steps: int) -> Callable[[int], float]:
    """Make a schedule: linear from near zero to 1 in ``warmup`` steps, then a cosine to 0."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))

    return factor


def accumulate(model: Qwen3ForCausalLM, rows: Sequence[Row]) -> float:
    """Add the gradient of one batch's weighted loss and return that loss in nats per token.

    Rows are sorted by length before they are cut into microbatches: padding is then rare.
    """
    rows = sorted(rows, key=lambda row: len(row.tokens))
    total = sum(sum(row.weights) for row in rows)
    loss_sum = 0.0
    for first in range(0, len(rows), MICROBATCH):
        tokens, weights = pad_right(rows[first : first + MICROBATCH])
        # Padding follows every real token, so the causal mask alone keeps it out of sight.
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
        losses = nn.functional.cross_entropy(
            logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none"
        )
        loss = (losses * weights[:, 1:].flatten()).sum() / total
        torch.autograd.backward(loss)
        loss_sum += loss.item()
    return loss_sum


def pad_right(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Stack rows of unequal lengths into token ids and loss weights (0 on padding)."""
    width = max(len(row.tokens) for row in rows)
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    weights = torch.zeros(len(rows), width)
    for index, row in enumerate(rows):
        tokens[index, : len(row.tokens)] = torch.tensor(row.tokens)
        weights[index, : len(row.weights)] = torch.tensor(row.weights)
    return tokens, weights


def save(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, course: Course, folder: Path
) -> None:
    """Write a bf16 checkpoint with its tokenizer and generation config; ``model`` turns bf16."""
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=course.temperature,
        top_p=course.top_p,
        top_k=0,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.bfloat16().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: Path) -> Qwen3ForCausalLM:
    """Load a saved model for fp32 arithmetic, and insist that every weight was there.

    Raises:
        RuntimeError: The checkpoint lacks a weight or has one too many.
    """
    from_pretrained: Any = Qwen3ForCausalLM.from_pretrained
    model, found = from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if found[problem]:
            raise RuntimeError(f"{folder}: {problem.replace('_', ' ')}: {found[problem]}")
    return cast(Qwen3ForCausalLM, model)
