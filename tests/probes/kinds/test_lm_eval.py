"""Tasks of lm-eval as probes: the same prompts and, response by response, the same scores."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from mi_tui.plan.remote_code import allow
from mi_tui.probes.errors import ProbeError
from mi_tui.probes.freeze import freeze
from mi_tui.probes.kinds.lm_eval import LmEval, LmEvalProbe
from mi_tui.probes.problem import Probe
from mi_tui.probes.scoring.judge import judge
from mi_tui.probes.scoring.pool import ScoringPool
from tests.probes.scoring.hostile import HOSTILE, LIMIT, seconds

lm_eval = pytest.importorskip("lm_eval")

TASK = """
task: sums
dataset_path: json
dataset_kwargs:
  data_files: {{test: {data}, train: {data}}}
output_type: {output_type}
test_split: test
fewshot_split: train
description: "Add the numbers."
doc_to_text: "{{{{a}}}} + {{{{b}}}} ="
doc_to_target: "{{{{answer}}}}"
generation_kwargs:
  until: ["STOP"]
  max_gen_toks: 64
filter_list:
  - name: last-box
    filter:
      - function: regex
        regex_pattern: '\\\\boxed\\{{(-?\\d+)\\}}'
        group_select: -1
      - function: take_first
  - name: whole
    filter:
      - function: take_first
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
{more}
"""

DOCS = [{"a": a, "b": 10 * a, "answer": str(11 * a)} for a in range(1, 7)]
RESPONSES = [
    "\\boxed{11}",
    "\\boxed{3} then \\boxed{22}",
    "33",
    "\\boxed{44}STOP\\boxed{0}",
    "no answer \x00\ud800",
    "\\boxed{67}",
]


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def yaml(tmp_path: Path, offline: None) -> str:
    return write_task(tmp_path)


def write_task(folder: Path, output_type: str = "generate_until", more: str = "") -> str:
    data, path = folder / "sums.jsonl", folder / "sums.yaml"
    data.write_text("\n".join(json.dumps(doc) for doc in DOCS))
    path.write_text(TASK.format(data=data, output_type=output_type, more=more))
    allow([LmEval().remote_code(LmEvalProbe(kind="lm-eval", path=str(path)))])
    return str(path)


def frozen(path: str, **options: Any) -> Probe:
    return freeze(LmEvalProbe(kind="lm-eval", path=path, **options))


def theirs(yaml: str, filter_name: str) -> list[float]:
    """The score of each response by lm-eval's own evaluation of a model that gives them."""
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class Canned(LM):  # type: ignore[misc]
        def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
            texts = [RESPONSES[request.doc["a"] - 1] for request in requests]
            stops = [request.args[1]["until"] for request in requests]
            return [text.split(stop[0])[0] for text, stop in zip(texts, stops, strict=True)]

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> Any:
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    results = lm_eval.simple_evaluate(
        Canned(),
        tasks=[yaml],
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        log_samples=True,
    )
    samples = [s for s in results["samples"]["sums"] if s["filter"] == filter_name]
    return [s["exact_match"] for s in sorted(samples, key=lambda s: s["doc"]["a"])]


@pytest.mark.parametrize("filter_name", ["last-box", "whole"])
def test_scores_equal_those_of_lm_eval_response_by_response(yaml: str, filter_name: str) -> None:
    probe = frozen(yaml, filter=filter_name)
    ours = [
        judge(probe.scorer, problem, response, truncated=False)
        for problem, response in zip(probe.problems, RESPONSES, strict=True)
    ]
    assert [score.value for score in ours] == theirs(yaml, filter_name)
    assert len({score.value for score in ours}) == 2
    assert all(score.failure is None for score in ours)


def test_the_thought_is_stripped_before_the_filters(yaml: str) -> None:
    probe = frozen(yaml)
    response = "\\boxed{1} STOP?</think>\\boxed{11}"
    score = judge(probe.scorer, probe.problems[0], response, truncated=False)
    assert (score.value, score.answer) == (1.0, "11")


def test_the_pool_scores_a_task(yaml: str) -> None:
    probe = frozen(yaml)
    with ScoringPool(processes=1, time_limit=60.0) as pool:
        for key, problem in enumerate(probe.problems):
            pool.submit(key, probe.scorer, problem, f"\\boxed{{{problem.answer}}}", False)
        scores: dict[int, Any] = {}
        while len(scores) < len(DOCS):
            scores.update(pool.poll(100.0))
    assert [scores[key].value for key in range(len(DOCS))] == [1.0] * len(DOCS)


@given(HOSTILE)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_text_raises_or_takes_long(yaml: str, text: str) -> None:
    probe = frozen(yaml)
    assert judge(probe.scorer, probe.problems[0], text, False).value in (0.0, 1.0)
    assert seconds(lambda: judge(probe.scorer, probe.problems[0], text, False)) < LIMIT


def test_prompts_are_chat_messages_and_examples_are_turns(yaml: str) -> None:
    plain = frozen(yaml).problems[1].messages
    assert plain == (
        {"role": "system", "content": "Add the numbers."},
        {"role": "user", "content": "2 + 20 ="},
    )
    few = frozen(yaml, few_shot=2).problems[1].messages
    assert [message["role"] for message in few] == [
        "system", "user", "assistant", "user", "assistant", "user",
    ]  # fmt: skip
    assert few[-1] == plain[-1]


def test_freezing_is_reproducible_and_silent(yaml: str, capfd: pytest.CaptureFixture[str]) -> None:
    hashes = {frozen(yaml, few_shot=1, problems=4).sha256 for _ in range(2)}
    assert len(hashes) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "bleu"}, "has no metric bleu: use exact_match"),
        ({"filter": "first"}, "has no filter first: use last-box, whole"),
    ],
)
def test_metrics_and_filters_must_exist(yaml: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(ProbeError, match=message):
        frozen(yaml, **options)


def test_tasks_that_cannot_be_judged_from_a_response_are_refused(
    tmp_path: Path, offline: None
) -> None:
    with pytest.raises(ProbeError, match="runs code that the model writes"):
        frozen(write_task(tmp_path, more="unsafe_code: true"))
    with pytest.raises(ProbeError, match="begins the answer for the model"):
        frozen(write_task(tmp_path, more="gen_prefix: 'So'"))
    with pytest.raises(ProbeError, match="compares likelihoods"):
        frozen(write_task(tmp_path, output_type="loglikelihood"))


def test_a_task_that_does_not_exist_is_one_line(tmp_path: Path, offline: None) -> None:
    with pytest.raises(ProbeError, match="there is no file"):
        frozen(str(tmp_path / "none.yaml"))
    broken = tmp_path / "broken.yaml"
    broken.write_text("task: broken\ndataset_path: json\ntest_split: test\n")
    allow([LmEval().remote_code(LmEvalProbe(kind="lm-eval", path=str(broken)))])
    with pytest.raises(ProbeError, match="cannot be loaded"):
        frozen(str(tmp_path / "broken.yaml"))


@pytest.mark.slow
def test_a_name_that_lm_eval_does_not_know_is_one_line(offline: None) -> None:
    with pytest.raises(ProbeError, match="lm-eval has no task no_such_task"):
        freeze(LmEvalProbe(kind="lm-eval", task="no_such_task"))
