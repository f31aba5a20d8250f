"""A dial by hand, for tests of what stands in front of vLLM."""

from mi_tui.plan.recipe import LambdaRule, interpolation
from mi_tui.plan.scope import ModuleKind
from mi_tui.plan.serve import MeasuredCurve, ServedRecipe
from mi_tui.serve.dial import Dial

CURVE = MeasuredCurve(
    lambdas=(0.0, 0.5, 1.0),
    score=(0.2, 0.6, 0.8),
    score_low=(0.1, 0.5, 0.7),
    score_high=(0.3, 0.7, 0.9),
    tokens=(10.0, 30.0, 110.0),
    tokens_low=(9.0, 28.0, 100.0),
    tokens_high=(11.0, 32.0, 120.0),
)

DIAL = Dial(
    name="pair",
    recipe=interpolation(0.5),
    efforts={"none": 0.0, "minimal": 0.0, "low": 0.25, "high": 1.0},
    measured=CURVE,
)
RULES = (LambdaRule(lambda_=0.85, modules=(ModuleKind.FFN,)),)
KNOBS = DIAL.model_copy(update={"recipes": {"knobs": ServedRecipe(lambda_=0.5, rules=RULES)}})
"""The same with a recipe that has a λ of the FFN beside that of all else."""

FIXED = DIAL.model_copy(update={"fixed": True, "efforts": {}})
