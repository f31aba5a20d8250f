"""When two greedy responses count as the same."""

from mi_tui.engines.vllm.response import Response
from mi_tui.engines.vllm.self_check import agrees

REFERENCE = Response(
    1, (5, 6, 7), False, 0, 0, 0, 0, ({5: -0.1, 8: -2.0}, {6: -0.70, 9: -0.705}, {7: -0.3})
)


def made(*tokens: int, logprobs: tuple[dict[int, float], ...] | None = None) -> Response:
    return Response(1, tokens, False, 0, 0, 0, 0, logprobs or REFERENCE.logprobs)


def test_equal_tokens_with_equal_logprobs_agree() -> None:
    assert agrees(made(5, 6, 7), REFERENCE, 0.01)


def test_a_tie_may_fall_either_way_and_ends_the_comparison() -> None:
    assert agrees(made(5, 9, 1), REFERENCE, 0.01)


def test_another_token_is_a_difference() -> None:
    assert not agrees(made(8, 6, 7), REFERENCE, 0.01)
    assert not agrees(made(4, 6, 7), REFERENCE, 0.01)


def test_equal_tokens_of_other_weights_are_found_by_their_logprobs() -> None:
    moved = ({5: -0.15}, {6: -0.70}, {7: -0.3})
    assert not agrees(made(5, 6, 7, logprobs=moved), REFERENCE, 0.01)
