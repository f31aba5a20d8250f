"""Model interpolation (arXiv 2510.10977): W(λ) = λ·Thinking + (1 − λ)·Instruct."""

from mi_tui.plan.method import LAMBDA, METHODS, ChunkMerge, Mergekit, MergeMethod, Sum, Values


class Interpolation(MergeMethod):
    """The method that studies search; λ = 0 and λ = 1 are the sources, bit for bit."""

    name = "interpolation"
    order = 0
    title = "interpolation"
    short = "MI"
    help = "W(λ) = λ · Thinking + (1 − λ) · Instruct, tensor by tensor."
    takes_lambda = True
    is_linear = True

    def tensor(self, values: Values) -> Sum | ChunkMerge:
        """The Thinking side's change at weight λ on Instruct."""
        lambda_ = values[LAMBDA]
        if lambda_ in (0.0, 1.0):
            return Sum("thinking" if lambda_ else "instruct")
        return Sum("instruct", (("thinking", lambda_),))

    def mergekit(self, values: Values) -> Mergekit:
        """Task arithmetic on one side: ``linear`` takes config and tokenizer from either."""
        del values
        return Mergekit(
            "task_arithmetic", lambda_="weight", note="W = λ · Thinking + (1 − λ) · Instruct"
        )

    def card(self, label: str, values: Values) -> str:
        """The formula and where it is from."""
        return (
            f"**{label}**: the interpolation W(λ) = λ · Thinking + (1 − λ) · Instruct "
            f"([arXiv 2510.10977](https://arxiv.org/abs/2510.10977)), λ = {values[LAMBDA]:g}"
        )


METHODS.register(Interpolation())
