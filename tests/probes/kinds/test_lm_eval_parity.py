"""An exported checkpoint, judged by lm-eval's own ``hf`` model: the same scores as here."""

import json
from pathlib import Path
from typing import Any

import pytest

from mi_tui.checkpoints.merging.write import merge
from mi_tui.engines.open import open_engine
from mi_tui.engines.protocol import Completion, Request
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe
from mi_tui.probes.problem import Probe
from mi_tui.probes.scoring.judge import judge

PAIR = Pair(instruct="bundled:instruct", thinking="bundled:thinking")
CAP = 320

TASK = """
task: chains
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{question}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: {cap}}}
filter_list:
  - name: last-box
    filter:
      - {{function: regex, regex_pattern: '\\\\boxed\\{{(-?\\d+)\\}}', group_select: -1}}
      - {{function: take_first}}
metric_list:
  - {{metric: exact_match, aggregation: mean, higher_is_better: true}}
"""


def ours(probe: Probe, recipe: Recipe) -> list[Completion]:
    engine = open_engine(EnginePlan(dtype="float32", threads=1, device="cpu"), PAIR)
    try:
        engine.add(
            Request(i, recipe, engine.encode(engine.render(p.messages)), seed=i, max_new_tokens=CAP)
            for i, p in enumerate(probe.problems)
        )
        done: list[Completion] = []
        while engine.pending:
            done += engine.step(5.0)
    finally:
        engine.close()
    return sorted(done, key=lambda completion: completion.request_id)


def theirs(probe: Probe, checkpoint: Path, folder: Path) -> list[dict[str, Any]]:
    import lm_eval
    from lm_eval.tasks import TaskManager

    rows = [{"question": p.messages[0]["content"], "answer": p.answer} for p in probe.problems]
    data, task = folder / "chains.jsonl", folder / "chains.yaml"
    data.write_text("\n".join(json.dumps(row) for row in rows))
    task.write_text(TASK.format(data=data, cap=CAP))
    results = lm_eval.simple_evaluate(
        "hf",
        model_args={
            "pretrained": str(checkpoint),
            "dtype": "float32",
            "think_end_token": "</think>",
        },
        tasks=[str(task)],
        task_manager=TaskManager(include_defaults=False),
        apply_chat_template=True,
        batch_size=8,
        device="cpu",
        bootstrap_iters=0,
    )
    samples: list[dict[str, Any]] = results["samples"]["chains"]
    return sorted(samples, key=lambda sample: int(sample["doc_id"]))


@pytest.mark.slow
@pytest.mark.parametrize("lambda_", [0.5, 0.8])
def test_lm_eval_gives_each_response_the_same_score(
    lambda_: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lm_eval")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    recipe = Recipe(lambda_=lambda_, decoding=Decoding(temperature=0.0))
    probe = freeze(ArithmeticProbe(kind="arithmetic", problems=32))
    merge(recipe, PAIR, tmp_path / "merged", dtype="float32")
    samples = theirs(probe, tmp_path / "merged", tmp_path)
    completions = ours(probe, recipe)
    scores = [
        judge(probe.scorer, problem, completion.text, completion.finish_reason == "length")
        for problem, completion in zip(probe.problems, completions, strict=True)
    ]
    assert [score.value for score in scores] == [sample["exact_match"] for sample in samples]
    # lm-eval keeps what follows the thinking, and all of a thought that was cut.
    answers = [completion.text.split("</think>")[-1].lstrip() for completion in completions]
    assert answers == [sample["resps"][0][0].lstrip() for sample in samples]
    # Greedy decoding sends the thinking end of the demo pair round in circles, so only the
    # middle is sure to answer.
    assert lambda_ > 0.5 or any(score.value for score in scores)
