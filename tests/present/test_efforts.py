"""The table of efforts: narrow, in the order of λ, and honest about what was not measured."""

from mi_tui.plan.serve import MeasuredCurve
from mi_tui.present.efforts import effort_lines

CURVE = MeasuredCurve(
    lambdas=(0.0, 0.5),
    score=(0.2, 1.0),
    score_low=(0.1, 1.0),
    score_high=(0.3, 1.0),
    tokens=(10.0, 31_234.5),
    tokens_low=(9.0, 29_999.4),
    tokens_high=(11.0, 33_000.0),
)


def test_each_lambda_has_one_line_with_all_its_names() -> None:
    efforts = {"high": 1.0, "none": 0.0, "minimal": 0.0, "medium": 0.5}
    lines = effort_lines(0.5, efforts, CURVE)
    assert [line.split()[0] for line in lines] == ["λ", "0", "0.5", "1"]
    assert lines[1].endswith("none, minimal")
    assert "0.200 (0.100–0.300)  10.0 (9.0–11.0)" in lines[1]
    assert lines[2].endswith("medium, default")
    assert "31,234 (29,999–33,000)" in lines[2]
    assert "not measured" in lines[3]
    assert max(map(len, lines)) <= 68


def test_without_a_study_nothing_is_measured() -> None:
    assert effort_lines(0.5, {}, None)[1:] == [f"{'0.5':<6}{'not measured':<21}{'':<24}default"]
