"""The IFEval scorer, with the checkers that lm-eval ships."""

import importlib.util
import random

from mi_tui.probes.errors import ProbeError, ScorerError, missing_extra
from mi_tui.probes.problem import Problem, Score, Scorer
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind

NEEDS_SENTENCES = ("length_constraints:number_sentences", "change_case:capital_word_frequency")
"""Instructions whose checkers split sentences or words."""


def ifeval_scorer() -> Scorer:
    """1.0 when every instruction is followed, else 0.0: prompt-level strict.

    The checkers are Google's, as lm-eval carries them. Language detection is seeded, so that
    the same response always gets the same score.

    Raises:
        ScorerError: lm-eval or what its checkers import is missing.
    """
    try:
        import langdetect
        from lm_eval.tasks.ifeval import utils
    except ImportError as error:
        raise ScorerError(missing_extra("scoring IFEval")) from error
    langdetect.DetectorFactory.seed = 0

    def score(problem: Problem, response: str) -> Score:
        # A checker without arguments draws them at random.
        random.seed(0)
        example = utils.InputExample(
            key=0,
            instruction_id_list=problem.meta["instruction_id_list"],
            prompt=problem.messages[-1]["content"],
            kwargs=problem.meta["kwargs"],
        )
        followed = utils.test_instruction_following_strict(example, response)
        return Score(float(followed.follow_all_instructions))

    return score


def check_ifeval_is_installed(problems: list[Problem]) -> None:
    """Refuse early what could not be scored later.

    Raises:
        ProbeError: a library or the sentence splitter's data is missing.
    """
    if any(importlib.util.find_spec(name) is None for name in ("lm_eval", "nltk", "langdetect")):
        raise ProbeError(missing_extra("scoring IFEval"))
    instructions = {name for problem in problems for name in problem.meta["instruction_id_list"]}
    if instructions.intersection(NEEDS_SENTENCES) and not has_sentence_splitter():
        raise ProbeError(
            "IFEval's checkers need NLTK's punkt_tab data, which cannot be downloaded from here: "
            "run python -m nltk.downloader punkt_tab, or copy it and set NLTK_DATA"
        )


def has_sentence_splitter() -> bool:
    """Whether NLTK finds the data that it splits sentences with, or can download them."""
    import nltk

    for _ in range(2):
        try:
            nltk.data.find("tokenizers/punkt_tab/english")
            return True
        except (LookupError, OSError):
            nltk.download("punkt_tab", quiet=True)
    return False


SCORERS.register(
    ScorerKind(
        "ifeval",
        "it follows every instruction (IFEval's checkers, prompt-level strict)",
        lambda _: ifeval_scorer(),
        order=21,
    )
)
