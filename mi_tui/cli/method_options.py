"""The options of ``merge`` that merge methods declare: one for each parameter."""

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

if TYPE_CHECKING:
    from mi_tui.plan.method import MergeMethod, Parameter

_GIVEN = "mi_tui.parameters"
_SHOWN = "mi_tui.methods"
_OPTIONS = "mi_tui.options"


def given_parameters(context: typer.Context) -> dict[str, float]:
    """The parameters of merge methods that the command line gives, by their name."""
    found: dict[str, float] = context.meta.get(_GIVEN, {})
    return found


def complete_method(incomplete: str) -> list[tuple[str, str]]:
    """The merge methods whose name begins so, with their help, for the shell."""
    from mi_tui.plan.method import METHODS

    return [(m.name, m.help) for m in METHODS if m.name.startswith(incomplete)]


class MergeCommand(typer.core.TyperCommand):
    """The command ``merge`` with an option for each parameter of the methods.

    Methods that are not named are loaded only for help, or for an option that the named one does
    not have: an interpolation loads no other.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the options, those of the methods too."""
        shown = self._methods(args)
        ctx.meta[_SHOWN] = shown
        ctx.meta[_OPTIONS] = _options(shown)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """The command's own options and those of the methods."""
        *own, help_ = super().get_params(ctx)
        return [*own, *ctx.meta.get(_OPTIONS, ()), help_]

    def invoke(self, ctx: Any) -> Any:
        """Set the methods' values apart: the function knows no names for them."""
        values = {option.name: ctx.params.pop(option.name) for option in ctx.meta[_OPTIONS]}
        ctx.meta[_GIVEN] = {name: value for name, value in values.items() if value is not None}
        return super().invoke(ctx)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The methods, and what each takes."""
        with formatter.section("Merge methods"):
            formatter.write_dl([(method.name, _about(method)) for method in ctx.meta[_SHOWN]])

    def _methods(self, args: Sequence[str]) -> "list[MergeMethod]":
        """The methods whose options may stand in the arguments."""
        from mi_tui.plan.method import METHODS

        name = _named(args)
        named = [METHODS[name]] if name in METHODS else []
        known = {text for param in self.params for text in param.opts}
        known |= {_flag(parameter) for method in named for parameter in method.parameters}
        asked = {arg.partition("=")[0] for arg in args if arg.startswith("-")}
        of_all = {"-h", "--help"} if _named(args, default="") == "" else set()
        if named and asked - {"-h", "--help"} <= known and not asked & of_all:
            return named
        return [*named, *(method for method in METHODS if method not in named)]


def _named(args: Sequence[str], default: str = "interpolation") -> str:
    """What ``--method`` says; otherwise the default of recipes, unless told otherwise."""
    for place, arg in enumerate(args):
        flag, equals, value = arg.partition("=")
        if flag == "--method":
            return value if equals else "".join(args[place + 1 : place + 2])
    return default


def _options(methods: "Sequence[MergeMethod]") -> list[Any]:
    """One option for each name; the first method that has it says its type and range."""
    takers: dict[str, list[tuple[MergeMethod, Parameter]]] = {}
    for method in methods:
        for parameter in method.parameters:
            takers.setdefault(parameter.name, []).append((method, parameter))
    declared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                int | None if taken[0][1].integer else float | None,
                typer.Option(_flag(taken[0][1]), help=_help(taken)),
            ],
        )
        for name, taken in takers.items()
    ]

    def holder(**_: object) -> None: ...

    holder.__signature__ = inspect.Signature(declared)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False)
    app.command()(holder)
    command: Any = typer.main.get_command(app)
    return list(command.params)


def _flag(parameter: "Parameter") -> str:
    return "--" + parameter.name.replace("_", "-")


def _help(taken: "Sequence[tuple[MergeMethod, Parameter]]") -> str:
    first = taken[0][1]
    names = ", ".join(method.name for method, _ in taken)
    paper = [f"{p.paper:g} for {m.name}" for m, p in taken if p.paper is not None]
    return f"Of {names}: {first.help}, {first.allowed}" + (
        f" (paper: {', '.join(paper)})." if paper else "."
    )


def _about(method: "MergeMethod") -> str:
    takes = [
        *(["--lambda"] if method.takes_lambda else []),
        *(_flag(parameter) for parameter in method.parameters),
        *(["--base"] if method.needs_base else []),
    ]
    return f"{method.help} Takes {', '.join(takes)}." if takes else method.help
