"""The middleware in vLLM's own application, its routes and its parsers; only the engine is absent.

What a handler of vLLM is given is what vLLM made of the request that the middleware let through.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from mi_tui.engines.vllm.worker.requested_lambda import RECIPE, requested
from mi_tui.plan.recipe import Recipe
from mi_tui.serve.dial import VARIABLE
from mi_tui.serve.middleware import APIS, GENERATES_NOTHING, HEADER
from mi_tui.serve.named_lambda import salted, shown
from tests.serve.dials import KNOBS
from tests.serve.live import PAIR

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("needs_vllm")]

CHAT = "/v1/chat/completions"
TOLD = 418
HANDLERS = {
    "openai_serving_chat": "create_chat_completion",
    "openai_serving_chat_batch": "create_batch_chat_completion",
    "openai_serving_completion": "create_completion",
    "openai_serving_responses": "create_responses",
    "anthropic_serving_messages": "create_messages",
    "serving_generative_scoring": "create_generative_scoring",
    "serving_structured_decisions": "create_decision",
    "serving_tokens": "serve_tokens",
    "serving_tokenization": "create_tokenize",
    "serving_render": "render_chat_request",
}

WITHOUT_LAMBDA = {
    "/generative_scoring",
    "/inference/v1/generate",
    "/v1/chat/completions/batch",
    "/v1/chat/completions/derender",
    "/v1/chat/completions/render",
    "/v1/completions/derender",
    "/v1/completions/render",
    "/v1/messages/render",
    "/v1/responses/render",
    "/v1/responses/{response_id}/cancel",
    "/v1/systemone",
    "/inference/v1/abort_requests",
    "/is_scaling_elastic_ep",
    "/ping",
    "/scale_elastic_ep",
}
"""vLLM's other addresses for requests with a body, which run at the server's own λ."""


@dataclass
class Handled:
    """Stands for vLLM's handlers: keeps what it is given, and answers with an error of its own."""

    given: list[Any] = field(default_factory=list)

    def handler(self, name: str) -> Any:
        async def handle(request: Any, *_: Any) -> Any:
            from vllm.entrypoints.serve.engine.protocol import ErrorInfo, ErrorResponse

            self.given.append(request)
            return ErrorResponse(error=ErrorInfo(message="handled", type="Told", code=TOLD))

        return type("Handler", (), {name: staticmethod(handle)})()


@pytest.fixture(scope="module")
def vllms_app(needs_vllm: None) -> Iterator[tuple[Any, Handled]]:
    from vllm.entrypoints.launchers.app import build_app
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, KNOBS.model_dump_json(by_alias=True))
        ours = ["--middleware", "mi_tui.serve.middleware.DialMiddleware"]
        parser = make_arg_parser(FlexibleArgumentParser())
        args = parser.parse_args(["--model", str(PAIR[1]), "--enable-scale-out", *ours])
        app = build_app(args, ("generate",))
        handled = Handled()
        for place, name in HANDLERS.items():
            setattr(app.state, place, handled.handler(name))
        app.state.enable_server_load_tracking = False
        yield app, handled


Send = Callable[..., Any]


@pytest.fixture
async def client(vllms_app: tuple[Any, Handled]) -> Any:
    app, handled = vllms_app
    handled.given.clear()
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://vllm") as client:
        yield client


def chat(fields: str = "", **more: Any) -> bytes:
    """A chat's body, with further fields as they are written."""
    said = json.dumps({"messages": [{"role": "user", "content": "a"}], **more})
    return f"{said[:-1]}{fields}}}".encode()


JSON = {"content-type": "application/json"}
ADAPTER = "X-Amzn-SageMaker-Adapter-Identifier"
MESSAGES = chat(max_tokens=4, model="pair@1")
OWN = KNOBS.recipe
ONE = KNOBS.at(1.0)
LOW = KNOBS.at(0.25)
NONE = KNOBS.at(0.0)

SERVED: dict[str, tuple[str, bytes, dict[str, str], Recipe]] = {
    "nothing": (CHAT, chat(), {}, OWN),
    "model null": (CHAT, chat(',"model":null'), {}, OWN),
    "a model twice: the last counts": (CHAT, chat(',"model":"pair@0","model":"pair@1"'), {}, ONE),
    "a model that is escaped": (CHAT, chat(',"\\u006dodel":"pair\\u0040low"'), {}, LOW),
    "arguments twice": (
        CHAT,
        chat(',"vllm_xargs":{"mi_tui_recipe":"{}"},"vllm_xargs":{"mi_tui_lambda":1}'),
        {},
        ONE,
    ),
    "λ twice": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":0,"mi_tui_lambda":1}'), {}, ONE),
    "λ = -0.0": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":-0.0}'), {}, NONE),
    "a denormal": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":5e-324}'), {}, NONE),
    "λ null": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":null}'), {}, OWN),
    "arguments null": (CHAT, chat(',"vllm_xargs":null,"model":"pair@1"'), {}, ONE),
    "other arguments": (CHAT, chat(',"vllm_xargs":{"a":[1,"b"]},"model":"pair@1"'), {}, ONE),
    "our key in capitals is another": (CHAT, chat(',"vllm_xargs":{"MI_TUI_LAMBDA":1}'), {}, OWN),
    "λ where vLLM has no field": (
        CHAT,
        chat(',"mi_tui_lambda":1,"extra_args":{"mi_tui_lambda":1},"extra_body":{"model":"pair@1"}'),
        {},
        OWN,
    ),
    "vLLM's own further arguments": (
        CHAT,
        chat(',"model":"pair@1","kv_transfer_params":{"mi_tui_recipe":"{}"}'),
        {},
        ONE,
    ),
    "the effort of another API": (CHAT, chat(',"output_config":{"effort":"low"}'), {}, OWN),
    "a recipe with several λ": (CHAT, chat(',"model":"pair@knobs"'), {}, KNOBS.named("knobs")),
    "half a character": (CHAT, chat(',"model":"pair@1","user":"\\ud800"'), {}, ONE),
    "UTF-16": (CHAT, chat(',"model":"pair@1"').decode().encode("utf-16"), {}, ONE),
    "a byte order mark": (CHAT, b"\xef\xbb\xbf" + chat(',"model":"pair@1"'), {}, ONE),
    "a query": (f"{CHAT}?model=pair@0", chat(',"model":"pair@1"'), {}, ONE),
    "an escaped address": ("/v1/chat%2Fcompletions", chat(',"model":"pair@1"'), {}, ONE),
    "another method in a header": (
        CHAT,
        chat(',"model":"pair@1"'),
        {"x-http-method-override": "GET"},
        ONE,
    ),
    "SageMaker": ("/invocations", chat(',"model":"pair@1"'), {}, ONE),
    "SageMaker's header": ("/invocations", chat(',"model":"pair@1"'), {ADAPTER: "pair@low"}, LOW),
    "SageMaker's header elsewhere": (CHAT, chat(',"model":"pair@1"'), {ADAPTER: "pair@low"}, ONE),
    "prompts": ("/v1/completions", b'{"model":"pair@1","prompt":["a","b"]}', {}, ONE),
    "lists of ids": ("/v1/completions", b'{"model":"pair@low","prompt":[[1],[2]]}', {}, LOW),
    "responses": ("/v1/responses", b'{"model":"pair@1","input":"a"}', {}, ONE),
    "responses that go on": (
        "/v1/responses",
        b'{"model":"pair","input":"a","previous_response_id":"resp_1","reasoning":{"effort":"low"}}',
        {},
        LOW,
    ),
    "responses in the background": (
        "/v1/responses",
        b'{"model":"pair@1","input":"a","background":true,"store":true}',
        {},
        ONE,
    ),
    "messages": ("/v1/messages", MESSAGES, {}, ONE),
    "messages without thinking": (
        "/v1/messages",
        chat(max_tokens=4, model="pair", thinking={"type": "disabled"}),
        {},
        NONE,
    ),
}


@pytest.mark.parametrize("name", SERVED)
async def test_what_vllm_reads_has_the_lambda_that_the_answer_says(
    name: str, client: httpx2.AsyncClient, vllms_app: tuple[Any, Handled]
) -> None:
    path, body, headers, recipe = SERVED[name]
    answer = await client.post(path, content=body, headers=JSON | headers)
    assert answer.status_code == TOLD, answer.text
    (request,) = vllms_app[1].given
    assert request.model in ("pair", None)
    assert request.cache_salt == salted(None, recipe.lambda_, recipe.rules)
    assert requested(request.vllm_xargs) == recipe
    assert [key for key in request.vllm_xargs if key.startswith("mi_tui_")] == [RECIPE]
    assert answer.headers[HEADER] == shown(recipe)


REFUSED: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "a model that is a list": (CHAT, chat(',"model":["pair@1"]'), {}),
    "a model that is an object": (CHAT, chat(',"model":{"pair@1":1}'), {}),
    "a model that is a number": (CHAT, chat(',"model":1'), {}),
    "a model of a megabyte": (CHAT, chat(f',"model":"pair@{"0" * 1_000_000}"'), {}),
    "a line after λ": (CHAT, chat(',"model":"pair@0.5\\n"'), {}),
    "NUL after λ": (CHAT, chat(',"model":"pair@0.5\\u0000"'), {}),
    "wide digits": (CHAT, chat(',"model":"pair@０.５"'), {}),
    "half a character": (CHAT, chat(',"model":"pair@\\ud800"'), {}),
    "a path": (CHAT, chat(',"model":"pair@../../etc/passwd"'), {}),
    "λ true": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":true}'), {}),
    "λ as text": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":"0.5\\n"}'), {}),
    "λ in wide digits": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":"０.５"}'), {}),
    "a little more than 1": (CHAT, chat(',"vllm_xargs":{"mi_tui_lambda":1.0000001}'), {}),
    "a λ of 4,000 digits": (CHAT, chat(f',"vllm_xargs":{{"mi_tui_lambda":{"9" * 4000}}}'), {}),
    "arguments that are a text": (CHAT, chat(',"vllm_xargs":"mi_tui_lambda"'), {}),
    "arguments that are pairs": (CHAT, chat(',"vllm_xargs":[["mi_tui_lambda",1]]'), {}),
    "arguments in arguments": (CHAT, chat(',"vllm_xargs":{"a":{"mi_tui_recipe":"{}"}}'), {}),
    "a recipe": (CHAT, chat(',"vllm_xargs":{"mi_tui_recipe":"{}"}'), {}),
    "a salt that is a list": (CHAT, chat(',"cache_salt":["a"]'), {}),
    "a salt that is half a character": (CHAT, chat(',"cache_salt":{"a":"\\ud800"}'), {}),
    "an effort in capitals": (CHAT, chat(',"reasoning_effort":"LOW"'), {}),
    "an effort without a name": (CHAT, chat(',"reasoning_effort":""'), {}),
    "no number": (CHAT, chat(',"seed":NaN'), {}),
    "a body that is a form": (
        CHAT,
        b"model=pair%401",
        {"content-type": "application/x-www-form-urlencoded"},
    ),
    "a body that is text": (CHAT, chat(',"model":"pair@1"'), {"content-type": "text/plain"}),
    "a body that is compressed": (
        CHAT,
        gzip.compress(chat(',"model":"pair@1"')),
        {"content-encoding": "gzip"},
    ),
    "a body too large": (CHAT, b'{"a":"' + b"x" * (33 << 20) + b'"}', {}),
    "SageMaker's header": ("/invocations", chat(',"model":"pair@1"'), {ADAPTER: "pair@9"}),
    "an address in capitals": ("/V1/Chat/Completions", chat(',"model":"pair@1"'), {}),
    "an address with two slashes": ("//v1/chat/completions", chat(',"model":"pair@1"'), {}),
    "an address with points": ("/v1/x/../chat/completions/", chat(',"model":"pair@1"'), {}),
    "several chats": ("/v1/chat/completions/batch", b'{"model":"pair@1","messages":[]}', {}),
    "several chats with an effort": (
        "/v1/chat/completions/batch",
        b'{"model":"pair","reasoning_effort":"low","messages":[[{"role":"user","content":"a"}]]}',
        {},
    ),
    "several chats with arguments": (
        "/v1/chat/completions/batch",
        b'{"model":"pair","vllm_xargs":{"mi_tui_lambda":1},"messages":[]}',
        {},
    ),
    "tokens": (
        "/inference/v1/generate",
        b'{"token_ids":[1],"sampling_params":{"extra_args":{"mi_tui_lambda":1}}}',
        {},
    ),
    "scores": ("/generative_scoring", b'{"model":"pair@1","query":"a","items":["b"]}', {}),
    "decisions": ("/v1/systemone", b'{"model":"pair@1"}', {}),
    "a prompt to look at": ("/v1/chat/completions/render", chat(',"model":"pair@1"'), {}),
    "embeddings": ("/v1/embeddings", b'{"model":"pair@1","input":"a"}', {}),
    "speech": (
        "/v1/audio/transcriptions",
        b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\npair@1\r\n--b--\r\n',
        {"content-type": "multipart/form-data; boundary=b"},
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_names_no_lambda_that_can_be_served_reaches_no_handler(
    name: str, client: httpx2.AsyncClient, vllms_app: tuple[Any, Handled]
) -> None:
    path, body, headers = REFUSED[name]
    answer = await client.post(path, content=body, headers=JSON | headers)
    assert answer.status_code in (307, 400, 404, 405, 413, 415, 422), answer.text[:300]
    assert vllms_app[1].given == []
    assert len(answer.text) < 3000


async def test_what_generates_nothing_knows_the_models_names(
    client: httpx2.AsyncClient, vllms_app: tuple[Any, Handled]
) -> None:
    body = b'{"model":"pair@low","prompt":"a"}'
    assert (await client.post("/tokenize", content=body, headers=JSON)).status_code == TOLD
    assert vllms_app[1].given[0].model == "pair"


def test_no_address_of_vllm_is_unknown(vllms_app: tuple[Any, Handled]) -> None:
    """A new one may generate: it has to be looked at before it is listed here."""
    posts = {
        route.path
        for route in vllms_app[0].routes
        if getattr(route, "methods", None) and route.methods - {"GET", "HEAD", "OPTIONS"}
    }
    assert posts >= APIS.keys()
    assert posts - APIS.keys() - GENERATES_NOTHING - WITHOUT_LAMBDA == set()
