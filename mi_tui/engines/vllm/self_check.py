"""The start-up check of vLLM against itself with a merged model loaded."""

from collections.abc import Callable, Sequence

from mi_tui.engines.protocol import Request, SelfCheck
from mi_tui.engines.vllm.instance import Instance
from mi_tui.engines.vllm.request_queue import INSTRUCT, Weights
from mi_tui.engines.vllm.response import Response
from mi_tui.plan.recipe import Decoding, Recipe
from mi_tui.plan.scope import ModuleKind, Scope

_TOKENS = 8
_ALTERNATIVES = 5
_TOLERANCE = {"float32": 0.01}
_HALF_TOLERANCE = 0.5
"""How far the log-probability of a token may be from the reference's: half precision rounds both
the merged weights and what is computed with them."""

_GREEDY = Decoding(temperature=0)
_MIXED = (
    Recipe(lambda_=0.3, decoding=_GREEDY),
    Recipe(lambda_=0.6, scope=Scope(modules=(ModuleKind.FFN,)), decoding=_GREEDY),
    Recipe(lambda_=1.0, decoding=_GREEDY),
)
SWITCHED = Recipe(lambda_=0.7, decoding=_GREEDY)
"""The merge with which λ in place is checked."""

Prompts = Sequence[tuple[int, ...]]


def check_one_pass(instance: Instance, prompts: Prompts) -> SelfCheck:
    """All recipes in one batch, then each from its merged checkpoint, loaded by vLLM's reload.

    Instruct is loaded again afterwards.
    """
    requests = _requests(_MIXED, prompts)
    made = instance.answer(requests, mixed=True, logprobs=_ALTERNATIVES, salt="check/one-pass")
    expected: list[Response] = []
    for recipe in _MIXED:
        instance.load(Weights(recipe))
        own = [request for request in requests if request.recipe == recipe]
        expected += instance.answer(
            own, mixed=False, logprobs=_ALTERNATIVES, salt=f"check/{recipe.key}"
        )
    instance.load(INSTRUCT)
    return _verdict("one pass", made, expected, instance.description.dtype)


def check_in_place(
    instance: Instance, restart: Callable[[Weights], Instance], prompts: Prompts
) -> tuple[SelfCheck, Instance]:
    """Switch to a merge and back, and compare with the same weights freshly loaded.

    Args:
        instance: freshly started with Instruct; ended here.
        restart: starts another one with given weights.
        prompts: token ids.

    Returns:
        The outcome, and the instance to go on with.
    """
    requests = _requests((SWITCHED,), prompts)

    def answers(at: Instance, salt: str) -> list[Response]:
        return at.answer(requests, mixed=False, logprobs=_ALTERNATIVES, salt=salt)

    expected = answers(instance, "check/fresh")
    instance.load(Weights(SWITCHED))
    made = answers(instance, "check/there")
    instance.load(INSTRUCT)
    made = [*answers(instance, "check/back"), *made]
    instance.close()
    fresh = restart(Weights(SWITCHED))
    expected += answers(fresh, "check/fresh")
    return _verdict("λ in place", made, expected, fresh.description.dtype), fresh


def agrees(made: Response, expected: Response, tolerance: float) -> bool:
    """Whether greedy tokens and their log-probabilities are the reference's.

    Tokens may part where the reference holds both for equally likely; what comes after such a
    tie cannot be compared.
    """
    steps = zip(made.tokens, expected.tokens, made.logprobs, expected.logprobs, strict=True)
    for mine, theirs, my_logprobs, their_logprobs in steps:
        if mine != theirs:
            gap = their_logprobs[theirs] - their_logprobs.get(mine, float("-inf"))
            return gap <= tolerance
        if abs(my_logprobs[mine] - their_logprobs[theirs]) > tolerance:
            return False
    return True


def _requests(recipes: Sequence[Recipe], prompts: Prompts) -> list[Request]:
    """Negative ids, so that they meet none of the study's."""
    pairs = [(recipe, prompt) for recipe in recipes for prompt in prompts]
    return [
        Request(-1 - at, recipe, prompt, seed=0, max_new_tokens=_TOKENS)
        for at, (recipe, prompt) in enumerate(pairs)
    ]


def _verdict(
    way: str, made: Sequence[Response], expected: Sequence[Response], dtype: str
) -> SelfCheck:
    tolerance = _TOLERANCE.get(dtype, _HALF_TOLERANCE)
    pairs = list(zip(made, expected, strict=True))
    wrong = [pair for pair in pairs if not agrees(*pair, tolerance)]
    if wrong:
        differ = f"{len(wrong)} of {len(pairs)} greedy responses differ from the merged model's"
        return SelfCheck(False, f"vLLM, {way}: {differ}")
    return SelfCheck(True, f"vLLM, {way}: {len(pairs)} greedy responses equal the merged model's")
