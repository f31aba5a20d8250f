"""The λ that a request to the server names, and the request as vLLM then gets it.

Pure functions of parsed JSON. A λ is named by the model (``pair@0.55``, ``pair@low``, or
``pair@name`` of a recipe with several λ), by
``vllm_xargs`` (``{"mi_tui_lambda": 0.55}``), or by the effort that the API has a field for, in this
order; the first two must not differ.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mi_tui.engines.vllm.worker.requested_lambda import LAMBDA, RECIPE
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.serve.dial import Dial, UnknownLambdaError

_OURS = "mi_tui_"
_NUMBER = re.compile(r"[01](?:\.[0-9]{0,12})?|\.[0-9]{1,12}")
_LONGEST_NAME = 256
_LONGEST_SALT = 128
_FORBIDDEN_IN_SALT = frozenset("@/\\\x00")
_TEMPLATE_EFFORTS = frozenset({"none", "minimal", "low", "medium", "high", "xhigh", "max"})
"""What vLLM takes for ``reasoning_effort``, and hands to chat templates."""

Body = dict[str, Any]


class RefusedError(Exception):
    """A request that is answered with an error: one line, the status, the field it is about."""

    def __init__(self, message: str, status: int = 400, field: str | None = None) -> None:
        super().__init__(" ".join(message.split()))
        self.message = str(self)
        self.status = status
        self.field = field


@dataclass(frozen=True, slots=True)
class Api:
    """One of the APIs whose requests may name a λ.

    ``effort`` takes the effort out of a request, where it names one; ``has_template`` says
    whether its messages go through a chat template.
    """

    effort: Callable[[Body], Any]
    has_template: bool


def _taken(body: Body, table: str, key: str) -> Any:
    """A key of a table in the body, which is left without it."""
    inner = body.get(table)
    if not isinstance(inner, dict) or key not in inner:
        return None
    body[table] = {name: value for name, value in inner.items() if name != key}
    return inner[key]


def _of_messages(body: Body) -> Any:
    """The effort in a request to Anthropic's API, where thinking may also be switched off."""
    effort = _taken(body, "output_config", "effort")
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and thinking.get("type") == "disabled":
        del body["thinking"]
        return "none"
    return effort


CHAT = Api(lambda body: body.pop("reasoning_effort", None), has_template=True)
COMPLETIONS = Api(lambda body: body.pop("reasoning_effort", None), has_template=False)
RESPONSES = Api(lambda body: _taken(body, "reasoning", "effort"), has_template=True)
MESSAGES = Api(_of_messages, has_template=True)


def with_lambda(body: Body, dial: Dial, api: Api) -> tuple[Recipe, Body]:
    """The recipe of the λ that a request names, and the request for vLLM.

    Args:
        body: the request, parsed.
        dial: what the server offers.
        api: whose request it is.

    Raises:
        RefusedError: the λ or another field cannot be served.
    """
    body = dict(body)
    effort = api.effort(body)
    arguments = _own_arguments(body)
    recipe = _only(_of_model(body, dial), _of_arguments(arguments, dial))
    if effort is not None and not isinstance(effort, str):
        raise RefusedError("the effort must be a text, such as 'low'", field="reasoning_effort")
    if recipe is None:
        recipe = dial.recipe if effort is None else _named(dial, effort, "reasoning_effort")
    if body.get("use_beam_search") and recipe != dial.recipe:
        raise RefusedError(
            f"beam search takes no λ but that of the server, {dial.default:g}",
            field="use_beam_search",
        )
    if api.has_template and effort in _TEMPLATE_EFFORTS:
        _tell_template(body, effort)
    arguments.pop(LAMBDA, None)
    if not dial.fixed:
        arguments[RECIPE] = recipe.canonical_json()
    if arguments:
        body["vllm_xargs"] = arguments
    body["cache_salt"] = salted(_own_salt(body), recipe.lambda_, recipe.rules)
    return recipe, body


def without_lambda(body: Any, dial: Dial, *, generates: bool) -> Any:
    """A request that no λ can be named in, as vLLM gets it; all of it runs at the server's own λ.

    Args:
        body: the request, parsed.
        dial: what the server offers.
        generates: whether it could generate, so that a λ in the model's name and an effort are
            refused and not left out.

    Raises:
        RefusedError: it names a λ or one of our keys.
    """
    for key in _keys(body):
        if key.startswith(_OURS):
            raise RefusedError(f"{key[:40]} cannot be named here", field="vllm_xargs")
    if not isinstance(body, dict):
        return body
    body = dict(body)
    recipe = _of_model(body, dial)
    if generates:
        if recipe not in (None, dial.recipe):
            raise RefusedError("this address takes no λ: ask the model without @", field="model")
        _require_no_effort(body)
    if body.get("cache_salt") is not None:
        body["cache_salt"] = salted(_own_salt(body), dial.default, dial.recipe.rules)
    return body


def salted(salt: str | None, lambda_: float | None, rules: Sequence[LambdaRule] = ()) -> str:
    """The cache salt of a request: equal for equal (caller's salt, λ, rules), and for no others.

    Source: https://docs.vllm.ai, "Automatic Prefix Caching". Hashed, so that no caller's salt can
    be that of another λ, and so that it has the characters and the length that vLLM takes.
    """
    parts = [salt, lambda_, *(rule.canonical_json() for rule in rules)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def shown(recipe: Recipe) -> str:
    """λ as text; of a recipe with rules, theirs behind it: ``0.5/0.85``."""
    others = (rule.lambda_ for rule in recipe.rules)
    return "/".join(f"{one:g}" for one in (recipe.lambda_ or 0.0, *others))


def read_lambda(text: str) -> float | None:
    """λ in a text such as ``0.55`` or ``1``; ``None`` of any other text."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return number if 0.0 <= number <= 1.0 else None


def _of_model(body: Body, dial: Dial) -> Recipe | None:
    """What stands behind the model's ``@``, which is left out of the body."""
    model = body.get("model")
    if not isinstance(model, str):
        return None
    if len(model) > _LONGEST_NAME:
        raise RefusedError("no model has a name so long", 404, "model")
    name, at, wanted = model.partition("@")
    if name != dial.name or not at:
        return None
    body["model"] = dial.name
    number = read_lambda(wanted)
    if number is not None:
        return _recipe(dial, number)
    if wanted[:1].isalpha():
        return _named(dial, wanted, "model")
    raise RefusedError(
        f"λ behind @ must be a number from 0 to 1 or an effort, not {_short(wanted)}", field="model"
    )


def _recipe(dial: Dial, lambda_: float) -> Recipe:
    try:
        return dial.at(lambda_)
    except UnknownLambdaError as error:
        raise RefusedError(str(error)) from None


def _named(dial: Dial, name: str, field: str) -> Recipe:
    try:
        return dial.named(name)
    except UnknownLambdaError as error:
        raise RefusedError(str(error), field=field) from None


def _require_no_effort(body: Body) -> None:
    """Refuse an effort, under whichever of the APIs' names, where vLLM would leave it unread."""
    for api in (CHAT, RESPONSES, MESSAGES):
        if api.effort(dict(body)) is not None:
            raise RefusedError("this address takes no effort: leave it out")


def _own_arguments(body: Body) -> dict[str, Any]:
    """The caller's ``vllm_xargs``, without a key of ours but the one that names λ."""
    given = body.pop("vllm_xargs", None)
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise RefusedError("vllm_xargs must be an object", field="vllm_xargs")
    for key in given:
        if key.startswith(_OURS) and key != LAMBDA:
            raise RefusedError(
                f"unknown key {_short(key)} in vllm_xargs: {LAMBDA} names λ", field="vllm_xargs"
            )
    return dict(given)


def _of_arguments(arguments: Mapping[str, Any], dial: Dial) -> Recipe | None:
    value = arguments.get(LAMBDA)
    if value is None:
        return None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not 0 <= number <= 1:
        raise RefusedError(
            f"{LAMBDA} must be a number from 0 to 1, not {_short(value)}", field="vllm_xargs"
        )
    return _recipe(dial, float(number))


def _only(one: Recipe | None, other: Recipe | None) -> Recipe | None:
    if one is not None and other is not None and one != other:
        raise RefusedError(
            f"the model names λ = {shown(one)} and vllm_xargs λ = {shown(other)}: name one"
        )
    return other if one is None else one


def _own_salt(body: Body) -> str | None:
    salt = body.get("cache_salt")
    if salt is None:
        return None
    if not isinstance(salt, str) or not 0 < len(salt) <= _LONGEST_SALT:
        raise RefusedError(
            f"cache_salt must be a text of 1 to {_LONGEST_SALT} characters", field="cache_salt"
        )
    if not _FORBIDDEN_IN_SALT.isdisjoint(salt):
        raise RefusedError("cache_salt must not contain @, /, \\ or NUL", field="cache_salt")
    return salt


def _tell_template(body: Body, effort: str) -> None:
    """Hand the effort to the chat template, which takes it if it knows it.

    As an argument of the template, since vLLM would make more of its own field: it would also
    set ``enable_thinking``, and so another prompt than the study measured.
    """
    given = body.get("chat_template_kwargs")
    if given is None or isinstance(given, dict):
        body["chat_template_kwargs"] = {**(given or {}), "reasoning_effort": effort}


def _keys(value: Any) -> Iterator[str]:
    """Every key in parsed JSON, however deep."""
    todo = [value]
    while todo:
        one = todo.pop()
        if isinstance(one, dict):
            yield from one
            todo += one.values()
        elif isinstance(one, list):
            todo += one


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
