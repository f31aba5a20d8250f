"""The end of a study that goes on, as it is typed."""

import pytest

from mi_tui.plan.search import Search
from mi_tui.plan.until import Until, UntilError, parse_until

SPENT = {"rollouts": 1500.0, "tokens": 60_000.0, "minutes": 2.5}


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("settled", Until()),
        (" Settled ", Until()),
        ("+500 rollouts", Until(amount=500, more=True)),
        ("+1 rollout", Until(amount=1, more=True)),
        ("2,000 rollouts in all", Until(amount=2000)),
        ("+50k tokens", Until(amount=50_000, unit="tokens", more=True)),
        ("+1.5M tokens", Until(amount=1_500_000, unit="tokens", more=True)),
        ("+ 10 minutes", Until(amount=10, unit="minutes", more=True)),
        ("+2.5min", Until(amount=2.5, unit="minutes", more=True)),
    ],
)
def test_each_form_is_read(text: str, until: Until) -> None:
    assert parse_until(text) == until
    assert parse_until(until.spec) == until


@pytest.mark.parametrize(
    "text",
    ["", "500", "+500", "-5 rollouts", "0 tokens", "+1.5 rollouts", "ever", "+nan tokens",
     "1e99 tokens", "+9999999999999 tokens", "settled rollouts", "+5 hours", "+٥ rollouts"],
)  # fmt: skip
def test_what_is_none_of_them_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(UntilError, match=r"write settled, \+500 rollouts"):
        parse_until(text)


def test_more_is_counted_from_what_was_spent() -> None:
    assert parse_until("+500 rollouts").in_all(SPENT) == Until(amount=2000)  # type: ignore[arg-type]
    end = parse_until("+10 minutes").in_all(SPENT)  # type: ignore[arg-type]
    assert (end.amount, end.more) == (12.5, False)
    with pytest.raises(UntilError, match=r"1,500 rollouts already: write \+1,400 rollouts"):
        parse_until("1400 rollouts").in_all(SPENT)  # type: ignore[arg-type]


def test_an_end_takes_the_place_of_every_limit() -> None:
    limited = Search(max_rollouts=100, max_minutes=1.0, refine=False)
    tokens = Until(amount=5000, unit="tokens").search(limited)
    assert (tokens.max_rollouts, tokens.max_tokens, tokens.max_minutes) == (None, 5000, None)
    assert not tokens.refine
    settled = Until().search(limited)
    assert (settled.max_rollouts, settled.max_minutes, settled.refine) == (None, None, True)
