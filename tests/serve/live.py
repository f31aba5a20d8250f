"""A real ``mi-tui serve`` in a process of its own, and what merged models answer in its place."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import psutil

from mi_tui.paths import demo_pair_folder
from mi_tui.plan.library import find_preset
from mi_tui.plan.recipe import LambdaRule, Recipe
from mi_tui.plan.scope import ModuleKind
from mi_tui.plan.serve import ServedRecipe, ServePlan
from mi_tui.plan.toml import write_preset
from tests.engines.support import END, generated, merged_model

PAIR = tuple(demo_pair_folder() / side for side in ("instruct", "thinking"))
EFFORTS = {"none": 0.0, "minimal": 0.0, "low": 0.3, "medium": 0.55, "high": 1.0}
DEFAULT = 0.55
KNOBS = ServedRecipe(
    lambda_=0.9, rules=(LambdaRule(lambda_=0.4, modules=(ModuleKind.FFN, ModuleKind.ROUTER)),)
)
SMALL = (
    "--max-model-len=512",
    f"--kv-cache-memory-bytes={256 << 20}",
    "--max-num-seqs=96",
    "--enable-prompt-tokens-details",
    "--disable-uvicorn-access-log",
)
QUESTIONS = tuple(
    f"Compute {problem} mod 100"
    for problem in (
        "47*6+5-8",
        "3+4",
        "81-9*7+2",
        "5*5",
        "12+7*3-4",
        "90-2-3-4-5",
        "8*8-1",
        "17+25",
        "6*7+6*7",
        "99-98",
        "2*3*4",
        "50+49-1",
    )
)
MOST = 40
_PATIENCE_SECONDS = 900.0
# vLLM ends its engine where one step takes five minutes, as it can on a very busy machine.
_PATIENT = {"VLLM_EXECUTE_MODEL_TIMEOUT_SECONDS": "3600"}


def a_preset(folder: Path) -> Path:
    """A preset of the demo pair with efforts."""
    _, demo = find_preset("demo")
    plan = ServePlan(name="pair", lambda_=DEFAULT, efforts=EFFORTS, recipes={"knobs": KNOBS})
    path = folder / "tuned.toml"
    write_preset(demo.model_copy(update={"serve": plan}), path)
    return path


@contextmanager
def serving(
    log: Path,
    *arguments: str,
    options: Sequence[str] = SMALL,
    answers_with: int = 200,
    **environment: str,
) -> Iterator[tuple[str, int]]:
    """The address of a server, and its process: that of the command, which becomes vLLM.

    Args:
        log: where the server writes.
        arguments: of ``mi-tui serve``.
        options: of vLLM.
        answers_with: the status by which one sees that it has started.
        environment: beside the present one.
    """
    port = free_port()
    command = [sys.executable, "-m", "mi_tui", "serve", *arguments, "--port", str(port)]
    own = {"OMP_NUM_THREADS": "1", "VLLM_CPU_KVCACHE_SPACE": "1", **_PATIENT, **environment}
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, "--", *options], env={**os.environ, **own}, stdout=file, stderr=file
        )
    with _answering(process, port, log, answers_with) as address:
        yield address, process.pid


@contextmanager
def plain(
    checkpoint: Path, log: Path, *, options: Sequence[str] = SMALL
) -> Iterator[tuple[str, int]]:
    """The address of plain vLLM on a checkpoint, and its process; the model's name is ``pair``."""
    port = free_port()
    here = ("--host", "127.0.0.1", "--port", str(port), "--dtype", "float32", "--enforce-eager")
    named = ("--model", str(checkpoint), "--served-model-name", "pair")
    command = [sys.executable, "-P", "-m", "vllm.entrypoints.openai.api_server", *named, *here]
    own = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", **_PATIENT}
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **own, "VLLM_WORKER_MULTIPROC_METHOD": "spawn"},
            stdout=file,
            stderr=file,
        )
    with _answering(process, port, log, 200) as address:
        yield address, process.pid


@contextmanager
def _answering(
    process: subprocess.Popen[bytes], port: int, log: Path, answers_with: int
) -> Iterator[str]:
    """The address of a server that has been started, as soon as it answers."""
    address = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + _PATIENCE_SECONDS
        while process.poll() is None and status(address) != answers_with:
            assert time.monotonic() < until, log.read_text()[-4000:]
            time.sleep(0.2)
        assert process.poll() is None, log.read_text()[-4000:]
        yield address
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a server, and what it has started where it does not stop by itself."""
    children = (
        psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    )
    process.terminate()
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, left = psutil.wait_procs(children, timeout=30)
    for child in left:
        with suppress(psutil.NoSuchProcess):
            child.kill()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def status(address: str) -> int:
    """The status of the list of models; 0 while nobody listens."""
    try:
        with urllib.request.urlopen(f"{address}/v1/models", timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


class Merged:
    """What merged models answer greedily, in plain transformers."""

    def __init__(self) -> None:
        from transformers import AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(PAIR[1])
        self._models: dict[str, Any] = {}
        self._texts: dict[tuple[str, str, int], str] = {}

    def prompt(self, question: str) -> list[int]:
        """The token ids of a question as the donor's template writes it."""
        messages = [{"role": "user", "content": question}]
        text: str = self._tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, tokenize=False
        )
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False)
        return ids

    def text(self, lambda_: float | Recipe, question: str, most: int) -> str:
        """The answer of the merged model of one λ, or of a recipe."""
        recipe = lambda_ if isinstance(lambda_, Recipe) else Recipe(lambda_=lambda_)
        name = recipe.canonical_json()
        key = (name, question, most)
        if key not in self._texts:
            if name not in self._models:
                self._models[name] = merged_model(PAIR, recipe)
            tokens = generated(self._models[name], self.prompt(question), most)
            kept = tokens[:-1] if tokens[-1:] == [END] else tokens
            self._texts[key] = self._tokenizer.decode(kept, skip_special_tokens=True)
        return self._texts[key]


async def asked(
    client: httpx2.AsyncClient, merged: "Merged", way: str, question: str, most: int, **named: Any
) -> str:
    """The whole answer to a question, asked in one of the ways."""
    body: dict[str, Any] = {"model": "pair", "temperature": 0, "max_tokens": most, **named}
    body["stream"] = way.endswith("streamed")
    if way.startswith("chat"):
        path = "/v1/chat/completions"
        body["messages"] = [{"role": "user", "content": question}]
    else:
        path = "/v1/completions"
        body["prompt"] = merged.prompt(question)
    if not body["stream"]:
        response = await client.post(path, json=body)
        assert response.status_code == 200, response.text
        choice = response.json()["choices"][0]
        text: str = choice["message"]["content"] if "message" in choice else choice["text"]
        return text or ""
    said = []
    async with client.stream("POST", path, json=body) as streamed:
        assert streamed.status_code == 200
        async for line in streamed.aiter_lines():
            if line.startswith("data: ") and line != "data: [DONE]":
                for choice in json.loads(line[6:])["choices"]:
                    piece = choice["delta"].get("content") if "delta" in choice else choice["text"]
                    said.append(piece or "")
    return "".join(said)


def connected(address: str) -> httpx2.AsyncClient:
    """A client of a server, with as many connections as are wanted."""
    return httpx2.AsyncClient(
        base_url=address, timeout=300, limits=httpx2.Limits(max_connections=None)
    )
