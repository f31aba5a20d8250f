"""The ablations that a finished study offers."""

from mi_tui.tui.screens.dialogs.pick import Pick

ABLATIONS = (
    Pick("layers", "layers", "thirds of the layers, the rest Instruct's"),
    Pick("modules", "modules", "without attention, FFN, norms …"),
    Pick("layers-modules", "layers × modules", "thirds of the layers by modules"),
    Pick("decoding", "decoding", "temperature by top-p"),
    Pick("baselines", "baselines", "task arithmetic, TIES"),
    Pick("layer-groups", "layer groups", "a λ of its own for each"),
    Pick("two-knobs", "two knobs", "a λ of attention, a λ of the FFN"),
)
