r"""Answers as models write them, scored as a careful reader would."""

import pytest

from mi_tui.probes.problem import Problem
from mi_tui.probes.scoring.judge import judge

RIGHT = [
    ("boxed-integer", "42", r"\boxed{42}"),
    ("boxed-integer", "42", r"\boxed{{42}}"),
    ("boxed-integer", "42", r"\boxed{x = 42}"),
    ("boxed-integer", "42", r"\boxed{n=42}."),
    ("boxed-integer", "42", r"\boxed{f(3) = 42}"),
    ("boxed-integer", "42", r"\boxed{42 \text{ cm}}"),
    ("boxed-integer", "42", r"\boxed{42\,\mathrm{cm}}"),
    ("boxed-integer", "42", r"\boxed{42 apples}"),
    ("boxed-integer", "42", r"\boxed{42\%}"),
    ("boxed-integer", "42", r"\boxed{42^\circ}"),
    ("boxed-integer", "42", r"\boxed{42^{\circ}}"),
    ("boxed-integer", "42", r"\boxed{42°}"),
    ("boxed-integer", "42", r"\boxed{\textbf{42}}"),
    ("boxed-integer", "42", r"\boxed{\(42\)}"),
    ("boxed-integer", "42", r"\boxed{$42$}"),
    ("boxed-integer", "42", r"\boxed 42"),
    ("boxed-integer", "42", r"so $\boxed 42$ it is"),
    ("boxed-integer", "42", r"\boxed{42} and then \boxed{}"),
    ("boxed-integer", "42", r"\fbox{42}"),
    ("boxed-integer", "42", r"\boxed{\boxed{42}}"),
    ("boxed-integer", "1234", r"\boxed{1{,}234}"),
    ("boxed-integer", "1234", r"\boxed{1\,234}"),
    ("boxed-integer", "1234", r"\boxed{1,\!234}"),
    ("boxed-integer", "1234567", r"\boxed{1\;234\;567}"),
    ("boxed-integer", "1234567", r"\boxed{1,234,567}"),
    ("boxed-integer", "-7", "\\boxed{\u22127}"),
    ("boxed-integer", "42", "\\boxed{４２}"),
    ("integer", "42", "The final answer is **42**."),
    ("integer", "42", "Final answer: $42$ (we added 3 and 39)"),
    ("integer", "42", "**Answer:** 42 km\nChecked with 7."),
    ("integer", "1234", "It is 1,234 in all."),
    ("math", "42", "The final answer is **42**."),
    ("math", "42", "**Final Answer:** 42"),
    ("math", r"\frac{3}{4}", "The final answer is **3/4**."),
    ("math", r"\frac{3}{4}", r"The answer is $\frac{3}{4}$."),
    ("math", r"\frac{3}{4}", r"\boxed \frac34"),
    ("math", r"\frac{3}{4}", r"$\boxed{\dfrac{3}{4}}$"),
    ("math", "42", r"\boxed{42^\circ}"),
    ("math", r"30^\circ", r"\boxed{30}"),
    ("math", "5", r"\boxed{5 \text{ meters}}"),
    ("math", "(1, 2)", r"\boxed{(1,2)}"),
    ("math", r"2\sqrt{3}", r"\boxed{2\sqrt{3}} and \boxed{}"),
    ("choice", "B", "ANSWER: B"),
    ("choice", "B", r"ANSWER: \(B\)"),
    ("choice", "B", "ANSWER: `B`"),
    ("choice", "B", 'ANSWER: "B"'),
    ("choice", "B", "ANSWER: 'B'"),
    ("choice", "B", "ANSWER: “B”"),
    ("choice", "B", "ANSWER: $B$"),
    ("choice", "B", r"ANSWER: $\text{B}$"),
    ("choice", "B", "ANSWER： Ｂ"),
    ("choice", "B", "ANSWER: （B）"),
    ("choice", "B", "ANSWER: [B]"),
    ("choice", "B", "ANSWER: B) 42 m"),
    ("choice", "B", "ANSWER: B. The cell divides."),
    ("choice", "B", "ANSWER: B - the cell divides"),
    ("choice", "B", "ANSWER: B because the cell divides"),
    ("choice", "A", "ANSWER: A because the cell divides"),
    ("choice", "B", "ANSWER: B\n\nWhy not the other answer: A cell cannot divide here."),
    ("choice", "B", "**ANSWER: B**\n\nNote: the answer: C is wrong, as shown."),
    ("choice", "B", r"\boxed{B) 42 m}"),
    ("choice", "B", r"\boxed{B. 42 m}"),
    ("choice", "B", r"\boxed{\textbf{(B)}\ 42}"),
    ("choice", "B", r"\boxed{\text{B}}"),
    ("choice", "B", r"\boxed B"),
    ("choice", "B", "The answer is (B)."),
    ("choice", "B", "The correct answer is **B**."),
    ("exact", "3", "Answer: ３"),
    ("exact", "Zürich", "Answer: Zu\u0308rich"),
    ("exact", "blue", "**Final answer:** blue"),
    ("contains", "Zürich", "It is in Zu\u0308rich."),
    ("contains", "ABC", "it is ａｂｃ"),
]

WRONG = [
    ("boxed-integer", "1234", r"\boxed{1, 234}"),
    ("boxed-integer", "1234", r"\boxed{1 234}"),
    ("boxed-integer", "12", "\\boxed{1\n2}"),
    ("boxed-integer", "42", r"\boxed{42 million}"),
    ("boxed-integer", "42", r"\boxed{42 or 43}"),
    ("boxed-integer", "2", r"\boxed{x = 1, y = 2}"),
    ("boxed-integer", "42", r"\boxed{x \neq 42}"),
    ("boxed-integer", "42", r"\boxed{42x}"),
    ("boxed-integer", "42", r"\boxed{42.5}"),
    ("boxed-integer", "42", r"\boxed{-42}"),
    ("math", "1234", r"\boxed{1, 234}"),
    ("math", "12", "\\boxed{1\n2}"),
    ("math", "17", r"\boxed{17} and \boxed{23}"),
    ("math", "42", "There were 42 of them."),
    ("math", r"\frac{3}{4}", "The final answer is **4/3**."),
    ("choice", "A", "A cell cannot divide here."),
    ("choice", "A", "ANSWER: A cell cannot divide here."),
    ("choice", "B", "ANSWER: Because"),
    ("choice", "B", r"\boxed{Bohr}"),
    ("choice", "B", "B or C, who knows"),
    ("exact", "3", "Answer: 3 or 4"),
]


def score(name: str, answer: str, response: str) -> float | None:
    problem = Problem("1", ({"role": "user", "content": "?"},), answer)
    return judge(name, problem, response, truncated=False).value


@pytest.mark.parametrize(("name", "answer", "response"), RIGHT)
def test_right_as_a_reader_would_say(name: str, answer: str, response: str) -> None:
    assert score(name, answer, response) == 1.0


@pytest.mark.parametrize(("name", "answer", "response"), WRONG)
def test_wrong_as_a_reader_would_say(name: str, answer: str, response: str) -> None:
    assert score(name, answer, response) == 0.0
