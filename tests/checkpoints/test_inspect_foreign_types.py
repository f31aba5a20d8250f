"""JSON files of checkpoints with values of any type in any place: one line, never a traceback."""

import copy
import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mi_tui.api.checkpoints import check
from mi_tui.checkpoints.identity import identify
from mi_tui.checkpoints.merging.plan import plan_merge
from mi_tui.checkpoints.tokenizer import read_end_tokens, read_tokenizer
from mi_tui.errors import MiTuiError
from mi_tui.paths import demo_pair_folder
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation

FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.json",
    "model.safetensors.index.json",
)
ODD: tuple[Any, ...] = (
    None, True, 0, -1, 7, 10**30, 1.5, float("nan"), float("inf"), "", "text", "\ud83d",
    "a\nb\x1b[2J", [], [1], [None], ["a"], [{"name": []}], {}, {"a": 1}, {"content": []},
    [[]], [["a"]], {"default": {}}, "9" * 5000,
)  # fmt: skip
values = st.sampled_from(ODD) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def places(data: Any, depth: int = 5) -> Iterator[tuple[Any, ...]]:
    """The ways to every value in JSON data, but few of long lists and tables."""
    yield ()
    if depth and isinstance(data, dict | list):
        keys = list(data) if isinstance(data, dict) else list(range(len(data)))
        for key in keys[:40]:
            for way in places(data[key], depth - 1):
                yield (key, *way)


def changed(data: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return value
    result = copy.deepcopy(data)
    inner = result
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = value
    return result


STARTS: dict[str, Any] = {
    "special_tokens_map.json": {"eos_token": {"content": "<|im_end|>"}, "pad_token": "x"},
    "chat_template.json": {"chat_template": "{{ messages }}"},
    "model.safetensors.index.json": {
        "metadata": {"total_size": 1},
        "weight_map": {"model.norm.weight": "model.safetensors"},
    },
}
EXTRA: dict[str, dict[str, Any]] = {
    "config.json": {
        "quantization_config": {"quant_method": "fp8"},
        "text_config": {"num_hidden_layers": 2},
        "rope_scaling": {"type": "yarn", "factor": 2.0},
        "auto_map": {"AutoModel": "modeling.Model"},
        "layer_types": ["full_attention"],
    },
    "tokenizer_config.json": {
        "added_tokens_decoder": {"7": {"content": "x", "special": True}},
        "chat_template": [{"name": "default", "template": "{{ messages }}"}],
        "extra_special_tokens": {"a": "b"},
    },
    "generation_config.json": {"eos_token_id": [1, 2]},
}


def original(name: str) -> Any:
    file = demo_pair_folder() / "thinking" / name
    found = json.loads(file.read_text()) if file.exists() else STARTS[name]
    return {**found, **EXTRA.get(name, {})}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A copy of the bundled Thinking checkpoint, its files linked."""
    with tempfile.TemporaryDirectory() as made:
        for file in (demo_pair_folder() / "thinking").iterdir():
            Path(made, file.name).write_bytes(file.read_bytes())
        yield Path(made)


@pytest.mark.parametrize("name", FILES)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_value_in_any_place_is_read_or_refused(
    name: str, data: st.DataObject, folder: Path
) -> None:
    start = original(name)
    way = data.draw(st.sampled_from(sorted(set(places(start)), key=repr)))
    file = folder / name
    before = file.read_bytes() if file.exists() else None
    file.write_text(json.dumps(changed(start, way, data.draw(values))))
    weights = folder / "model.safetensors"
    if name.endswith("index.json"):
        weights.rename(folder / "model-00001-of-00001.safetensors")
    try:
        pair = Pair(instruct="bundled:instruct", thinking=str(folder))
        with suppress(MiTuiError):
            report = check("bundled:instruct", str(folder), loading=False)
            for line in map(str, report.findings):
                line.encode()
        with suppress(MiTuiError):
            identify(str(folder))
        with suppress(MiTuiError):
            plan_merge(interpolation(0.5), pair, folder.with_name("out"))
    finally:
        if name.endswith("index.json"):
            (folder / "model-00001-of-00001.safetensors").rename(weights)
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)


@pytest.mark.parametrize("name", FILES[1:6])
def test_each_odd_value_in_each_place_is_read_or_refused(name: str, tmp_path: Path) -> None:
    start = original(name)
    for way in sorted(set(places(start, 3)), key=repr):
        for odd in ODD:
            (tmp_path / name).write_text(json.dumps(changed(start, way, odd)))
            for read in (read_tokenizer, read_end_tokens):
                with suppress(MiTuiError):
                    read(tmp_path)
