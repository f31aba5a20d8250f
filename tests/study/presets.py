"""Small studies on the bundled pair for tests that need the real thing."""

from mi_tui.plan.engine import ServerSpeed
from mi_tui.plan.library import find_preset
from mi_tui.plan.preset import Preset
from mi_tui.probes.kinds.arithmetic import ArithmeticProbe


def small_preset(problems: int = 8, samples: int = 2, **search: object) -> Preset:
    """The demo preset with three λ, few problems and no refinement: some seconds of work.

    The speed is given: measuring it would take as long as the rest.
    """
    _, demo = find_preset("demo")
    probe = ArithmeticProbe(kind="arithmetic", problems=problems, held_out=0.25, max_new_tokens=160)
    plan = demo.search.model_copy(
        update={"grid": (0.0, 0.6, 1.0), "samples": samples, "refine": False, **search}
    )
    engine = demo.engine.model_copy(update={"threads": 1, "batch": 16})
    return demo.model_copy(
        update={
            "title": "Small",
            "probes": (probe,),
            "search": plan,
            "engine": engine,
            "server": ServerSpeed(time_to_first_token=0.01, time_per_output_token=0.005),
        }
    )
