"""The pages of help: one for each screen, narrow enough, and with the words explained."""

from mi_tui.tui.keys import places
from mi_tui.tui.screens.dialogs.help import page_text


def test_every_page_of_help_is_there_and_fits_a_narrow_terminal() -> None:
    pages = {page for _, place in places() if (page := getattr(place, "HELP_PAGE", None))}
    pages.add("budget")
    assert {"home", "presets", "models", "scope", "probe", "recommend"} <= pages
    for page in pages:
        lines = page_text(page).splitlines()
        assert lines[0].startswith("# ")
        assert max(map(len, lines)) <= 79, page


def test_the_help_teaches_what_lambda_and_the_stages_are() -> None:
    assert "W(λ) = λ · Thinking + (1 − λ) · Instruct" in page_text("home")
    for page in ("scope", "probe"):
        assert "stage" in page_text(page)
    for word in ("weight", "held out", "Can tell", "f5", "f7"):
        assert word in page_text("scope")
