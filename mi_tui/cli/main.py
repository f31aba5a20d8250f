"""The ``mi-tui`` command: the app without a subcommand, everything headless with one."""

import contextlib
import os
import signal
import sys
import threading
from typing import Annotated, Any

import typer
import typer.core
import typer.exceptions

from mi_tui import __version__
from mi_tui.cli import (
    ablation_commands,
    checkpoint_commands,
    compare_command,
    preset_commands,
    serve_command,
    study_commands,
)
from mi_tui.cli.console import let_streams_write_anything
from mi_tui.cli.options import Color, Debug, NoMouse, Theme
from mi_tui.errors import MiTuiError, StoppedError


class _Commands(typer.core.TyperGroup):
    """Lets a command that is interrupted say so: Typer ends it without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise StoppedError("stopped") from None


app = typer.Typer(
    name="mi-tui",
    cls=_Commands,
    help=(
        "Guided tuning of model interpolation: find the λ between an Instruct and a Thinking "
        "checkpoint that fits your budget. Without a command, the app opens."
    ),
    no_args_is_help=False,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"mi-tui {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def start(
    context: typer.Context,
    theme: Theme = None,
    color: Color = None,
    no_mouse: NoMouse = False,
    debug: Debug = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Open the app."""
    del version
    if debug:
        os.environ["MI_TUI_DEBUG"] = "1"
    if context.invoked_subcommand is None:
        study_commands.open_app("home", theme=theme, color=color, mouse=not no_mouse)


study_commands.register(app)
ablation_commands.register(app)
compare_command.register(app)
checkpoint_commands.register(app)
preset_commands.register(app)
serve_command.register(app)


def run() -> None:
    """Run the command; every error a user can cause ends as one line on standard error."""
    let_streams_write_anything()
    _leave_on_signals()
    try:
        status = app(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except MiTuiError as error:
        _debug_traceback()
        _fail(str(error), error.exit_code)
    except typer.Abort:
        _fail("stopped", 130)
    except typer.exceptions.TyperException as error:
        _fail(f"{error.format_message()} (mi-tui --help shows what there is)", error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped", 130)
    except BrokenPipeError:
        # The reader of our output has gone; nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except _EndedBySignalError as ended:
        _fail(f"ended by {ended.number.name}", ended.code)
    except SystemExit:
        raise
    except BaseException as error:  # a panic of a Rust library is no Exception
        _debug_traceback()
        _fail(f"unexpected {type(error).__name__}: {error} (--debug shows where)", 70)


class _EndedBySignalError(SystemExit):
    """A signal asked the command to end."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number
        self.code: int = 128 + number
        super().__init__(self.code)


def _leave_on_signals() -> None:
    """Let SIGTERM, and SIGHUP of a lost terminal, clean up what is half done, as Ctrl-C does."""

    def leave(number: int, _: object) -> None:
        raise _EndedBySignalError(signal.Signals(number))

    in_main = threading.current_thread() is threading.main_thread()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if in_main and signal.getsignal(number) is signal.SIG_DFL:  # not below nohup
            signal.signal(number, leave)


def _debug_traceback() -> None:
    if os.environ.get("MI_TUI_DEBUG"):
        raise


def _fail(message: str, status: int) -> None:
    # What a server or a file says may stand in it.
    from mi_tui.probes.text import shown_line

    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"mi-tui: {shown_line(message)}", file=sys.stderr)
    sys.exit(status)
