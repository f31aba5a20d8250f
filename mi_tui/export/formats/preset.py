"""The preset with the answer in it, as TOML."""

from typing import TYPE_CHECKING

from mi_tui.export.format import FORMATS, Clipboard, Subject, TextFormat

if TYPE_CHECKING:
    from mi_tui.analysis.results import Recommendation
    from mi_tui.plan.preset import Preset


class PresetFormat(TextFormat):
    """The preset that runs the study again and evaluates the recommended recipe."""

    name = "preset"
    title = "preset"
    about = "the preset with the recommended recipe, for mi-tui run and serve"
    file_name = "preset.toml"
    order = 10
    clipboard = Clipboard("config", "the preset that runs this again", "copied-preset.toml")

    def text(self, subject: Subject) -> str:
        """The preset as TOML."""
        from mi_tui.plan.toml import preset_text

        return preset_text(tuned_preset(subject.view.preset, subject.answer))


def tuned_preset(preset: "Preset", answer: "Recommendation") -> "Preset":
    """The preset with the recommendation's budget, its recipe as a row to evaluate again, and its
    efforts for a server with λ per request."""
    from mi_tui.analysis.recommendation.efforts import serve_plan

    if not answer.recommended:
        return preset.model_copy(update={"budget": answer.budget})
    rows = (*(r for r in preset.recipes if r != answer.recipe), answer.recipe)
    changed: dict[str, object] = {"budget": answer.budget, "recipes": rows}
    if answer.recipe.is_of_the_pair:
        changed["serve"] = serve_plan(answer, preset)
    return preset.model_copy(update=changed)


FORMATS.register(PresetFormat())
