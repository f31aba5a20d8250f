"""Requests in words, as the log has them."""

import pytest

from mi_tui.plan.budget import parse_budget
from mi_tui.plan.recipe import interpolation
from mi_tui.study.storage.records import RequestKind, StoredRequest

HALF = interpolation(0.5)
BUDGET = parse_budget("tokens<=60").model_dump(mode="json")


@pytest.mark.parametrize(
    ("kind", "data", "words"),
    [
        ("pause", {}, "request pause"),
        ("add", {"recipe": HALF.model_dump(mode="json", by_alias=True)}, "request add MI-0.5"),
        (
            "more",
            {"recipe": HALF.key, "samples": 4},
            "request more MI-0.5 by 4 samples per problem",
        ),
        ("drop", {"recipe": HALF.key}, "request drop MI-0.5"),
        ("budget", {"budget": BUDGET}, "request budget tokens<=60"),
    ],
)
def test_a_request_is_told_in_words(kind: RequestKind, data: dict[str, object], words: str) -> None:
    assert StoredRequest(1, kind, data).in_words({HALF.key: HALF.label}) == words
