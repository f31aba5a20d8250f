"""The report in a real browser: hover, toggles, sorting, widths, colours, paper."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mi_tui.export.html_report import report_html
from mi_tui.plan.recipe import interpolation
from tests.export.browser import CHROMIUM, Browser
from tests.export.views import a_row, a_view, an_answer, estimate
from tests.tui.views import ablation_result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a Chromium: apt install chromium"),
]

LAMBDAS = (0.0, 0.2, 0.4, 0.5, 0.56, 0.58, 0.6, 0.61, 0.62, 0.63, 0.64, 0.8, 1.0)
"""Many of them close together: their labels would cover one another."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def page_text() -> str:
    view = replace(a_view(), rows=tuple(map(a_row, LAMBDAS)))
    chosen = {"lambda_": 0.57, "recipe": interpolation(0.57), "tokens": estimate(67, 5)}
    answer = an_answer().model_copy(update=chosen)
    prompt = "An unbroken word of a prompt: " + "x" * 300
    return report_html(view, answer, {"arithmetic": prompt}, ablation_result())


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page_text(), encoding="utf-8")
    return path


def contrast(browser: Browser, front: str, back: str) -> float:
    """The contrast of two colours as WCAG 2 defines it, given as JavaScript expressions."""
    shares = browser.evaluate(f"""[{front}, {back}].map(colour => {{
        const parts = colour.match(/[0-9.]+/g).slice(0, 3).map(part => part / 255);
        const light = parts.map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
        return .2126 * light[0] + .7152 * light[1] + .0722 * light[2];
    }})""")
    low, high = sorted(shares)
    return float((high + 0.05) / (low + 0.05))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1280])
def test_at_every_width_nothing_runs_off_the_page_and_all_can_be_read(
    browser: Browser, page: Path, width: int, scheme: str
) -> None:
    browser.faults.clear()
    browser.open(page, width, scheme=scheme)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    cut = """[...document.querySelectorAll("svg text")].filter(text => {
        const a = text.getBoundingClientRect(), b = text.closest("svg").getBoundingClientRect();
        return a.width && (a.left < b.left - 1 || a.right > b.right + 1 || a.top < b.top - 2);
    }).map(text => text.textContent)"""
    assert browser.evaluate(cut) == []
    body = "getComputedStyle(document.body)"
    assert contrast(browser, f"{body}.color", f"{body}.backgroundColor") > 7
    for curve in ("score", "think", "tokens"):
        stroke = f'getComputedStyle(document.querySelector(".curve.{curve}")).stroke'
        assert contrast(browser, stroke, f"{body}.backgroundColor") > 4
    assert browser.faults == []


def test_no_label_covers_another_and_some_are_there(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    boxes = browser.evaluate("""[...document.querySelectorAll("svg .mark")]
        .map(text => text.getBoundingClientRect()).filter(box => box.width)
        .map(box => [box.left, box.top + 2, box.right, box.bottom - 2])""")
    assert len(boxes) >= 8
    for number, a in enumerate(boxes):
        for b in boxes[:number]:
            assert not (a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3])


def test_a_recipe_is_hidden_in_all_plots_and_tables_and_shown_again(
    browser: Browser, page: Path
) -> None:
    browser.open(page, 1280)
    seen = """[...document.querySelectorAll('[data-row="2"]:not(button)')]
        .filter(part => getComputedStyle(part).display !== "none").length"""
    before = browser.evaluate(seen)
    assert before >= 4 + 3
    click = "document.querySelector('.toggles [data-row=\"2\"]').click()"
    browser.evaluate(click)
    assert browser.evaluate(seen) == 0
    browser.evaluate("document.querySelector('.toggles button').click()")
    assert browser.evaluate(seen) == before
    browser.evaluate("document.querySelector('.toggles button').click()")
    rows = 'document.querySelectorAll(".results tr[data-row]:not(.off)").length'
    assert browser.evaluate(rows) == 0


def test_tables_are_sorted_by_a_column_both_ways(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    paired, recipes = (f"document.querySelectorAll('table.results')[{n}]" for n in (0, 1))
    press = "[...{}.querySelectorAll('th button')].find(b => b.textContent === '{}').click()"
    first = "[...{}.tBodies[0].rows].map(row => row.cells[0].textContent)"
    order = browser.evaluate(first.format(recipes))
    browser.evaluate(press.format(recipes, "Token #N"))
    assert browser.evaluate(first.format(recipes)) == order[::-1]
    browser.evaluate(press.format(recipes, "Token #N"))
    assert browser.evaluate(first.format(recipes)) == order
    sort = "[...{}.querySelectorAll('th')].map(th => th.ariaSort).filter(Boolean)"
    assert browser.evaluate(sort.format(recipes)) == ["ascending"]
    browser.evaluate(press.format(paired, "Difference"))
    assert browser.evaluate(first.format(paired))[-1] == "MI-0.61 · layers 24–35"


def test_what_the_mouse_is_over_is_told(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    tip = 'document.querySelector("#tip").hidden ? "" : document.querySelector("#tip").textContent'
    at = """(() => { const point = document.querySelectorAll("svg")[0].querySelector(
        '.point[data-row="1"] circle'); point.scrollIntoView({block: "center"});
        const box = point.getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2]; })()"""
    browser.move(*browser.evaluate(at))
    assert browser.evaluate(tip).startswith("MI-0.2\nStage 2\n")
    box = browser.evaluate("""(() => { const box = document.querySelectorAll("svg")[0]
        .getBoundingClientRect(); return [box.left, box.top, box.width, box.height]; })()""")
    browser.move(box[0] + box[2] * (56 + 0.5 * 488) / 560, box[1] + 0.9 * box[3])
    assert browser.evaluate(tip).startswith("λ 0.50\nscore 50.0")
    browser.move(2, 2)
    assert browser.evaluate(tip) == ""


def test_it_prints_on_white_without_its_buttons(browser: Browser, page: Path) -> None:
    browser.open(page, 1280, scheme="dark")
    pdf = base64.b64decode(browser.call("Page.printToPDF")["data"])
    assert pdf.startswith(b"%PDF")
    browser.media("dark", "print")
    style = "getComputedStyle(document.querySelector('{}')).{}"
    assert browser.evaluate(style.format("body", "backgroundColor")) == "rgb(255, 255, 255)"
    assert browser.evaluate(style.format(".toggles", "display")) == "none"


def test_the_recommended_recipe_is_a_marked_row_of_each_table(browser: Browser, page: Path) -> None:
    browser.open(page, 1280)
    rows = "[...document.querySelectorAll('tr.chosen[data-row]')].map(r => r.cells[0].textContent)"
    assert browser.evaluate(rows) == ["MI-0.57"] * 3


def test_no_script_but_ours_runs(browser: Browser, tmp_path: Path) -> None:
    planted = "<script>window.planted = 1</script><img src=x onerror='window.planted = 1'>"
    path = tmp_path / "planted.html"
    path.write_text(page_text().replace("<h2>Why", f"{planted}<h2>Why"), encoding="utf-8")
    browser.open(path, 1280)
    assert browser.evaluate("window.planted") is None
    assert browser.evaluate("document.querySelector('.toggles').hidden") is False
    assert browser.faults, "the browser says that it refused the planted script"
