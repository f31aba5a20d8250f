"""The instructions of the kind of that name."""

from mi_tui.probes.kinds.instructions import score_instructions
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind

SCORERS.register(
    ScorerKind(
        "instructions",
        "it obeys every instruction",
        lambda _: score_instructions,
        order=22,
        batched=True,
    )
)
