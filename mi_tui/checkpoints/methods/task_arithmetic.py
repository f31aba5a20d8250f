"""Task arithmetic (Ilharco et al., arXiv 2212.04089): both sides' changes added to the base."""

from mi_tui.plan.method import METHODS, ChunkMerge, Mergekit, MergeMethod, Parameter, Sum, Values


class TaskArithmetic(MergeMethod):
    """``base + scale · (Instruct − base) + scale · (Thinking − base)``."""

    name = "task-arithmetic"
    order = 10
    title = "task arithmetic"
    short = "TA"
    help = "Adds both sides' changes to the base model, times scale."
    parameters = (Parameter("scale", "factor of both changes", 0.0, 2.0, paper=0.7),)
    needs_base = True
    in_paper = True

    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """Both changes at the same weight on the base."""
        scale = values["scale"]
        return Sum("base", (("instruct", scale), ("thinking", scale)))

    def mergekit(self, values: Values) -> Mergekit:
        """mergekit's method of the same name."""
        return Mergekit("task_arithmetic", model={"weight": values["scale"]})

    def label(self, values: Values) -> str:
        """With its scale, always: ``TA-0.7``."""
        return f"{self.short}-{values['scale']:g}"


METHODS.register(TaskArithmetic())
