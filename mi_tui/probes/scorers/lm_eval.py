"""The filters and metrics of lm-eval's tasks."""

from mi_tui.probes.kinds.lm_eval import lm_eval_scorer
from mi_tui.probes.scoring.scorer import SCORERS, ScorerKind

SCORERS.register(
    ScorerKind("lm-eval", "the task's own filter and metric say so", lm_eval_scorer, order=23)
)
