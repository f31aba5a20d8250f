"""mi-tui: guided tuning of model interpolation between an Instruct and a Thinking checkpoint.

What is named here is the Python interface; each name is loaded at its first use, so that
``import mi_tui`` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mi_tui.api.checkpoints import check as check
    from mi_tui.api.merging import merge as merge
    from mi_tui.api.presets import load_preset as load_preset
    from mi_tui.api.study import Study as Study
    from mi_tui.engines.open import open_engine as open_engine
    from mi_tui.errors import MiTuiError as MiTuiError
    from mi_tui.plan.budget import Budget as Budget
    from mi_tui.plan.pair import Pair as Pair
    from mi_tui.plan.preset import Preset as Preset
    from mi_tui.plan.recipe import Recipe as Recipe
    from mi_tui.study.control import list_studies as list_studies

__version__ = "0.1.0"

_PLACES = {
    "Budget": "mi_tui.plan.budget",
    "MiTuiError": "mi_tui.errors",
    "Pair": "mi_tui.plan.pair",
    "Preset": "mi_tui.plan.preset",
    "Recipe": "mi_tui.plan.recipe",
    "Study": "mi_tui.api.study",
    "check": "mi_tui.api.checkpoints",
    "list_studies": "mi_tui.study.control",
    "load_preset": "mi_tui.api.presets",
    "merge": "mi_tui.api.merging",
    "open_engine": "mi_tui.engines.open",
}

__all__ = [
    "Budget",
    "MiTuiError",
    "Pair",
    "Preset",
    "Recipe",
    "Study",
    "__version__",
    "check",
    "list_studies",
    "load_preset",
    "merge",
    "open_engine",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
