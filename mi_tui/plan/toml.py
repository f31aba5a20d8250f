"""Presets as TOML files: read strictly, written back with the user's comments kept."""

import json
import re
from collections.abc import Iterable, Iterator, MutableMapping
from pathlib import Path
from typing import Any, get_args

import tomlkit
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from tomlkit.exceptions import TOMLKitError

from mi_tui.errors import MiTuiError
from mi_tui.paths import is_directory, is_file, presets_folder
from mi_tui.plan.preset import Preset
from mi_tui.plan.probe import PROBE_KINDS, ProbePlan
from mi_tui.plan.recipe import Decoding
from mi_tui.text.plain_text import fault
from mi_tui.whole_files import write_whole


class PresetError(MiTuiError):
    """A preset that cannot be read, is not valid, or cannot be written."""


def read_preset(path: Path) -> Preset:
    """The preset in a TOML file.

    ``extends = "NAME"`` at its top takes the rest from NAME.toml beside it, or from the bundled
    preset of that name: tables are merged key by key, anything else that the file says replaces
    what it extends. Relative paths of checkpoints and data files count from the preset's folder
    where they lie there, else from the working directory.

    Raises:
        PresetError: the file cannot be read, is no TOML, or a key or value is not allowed; the
            message names the file, the key and what is allowed.
    """
    return _validated(_content(path), str(path))


def parse_preset(text: str, where: str) -> Preset:
    """The preset in a TOML text that extends no other; ``where`` names it in errors.

    Raises:
        PresetError: as :func:`read_preset`.
    """
    return _validated(_parsed(text, where), where)


def _content(path: Path, extended_by: tuple[Path, ...] = ()) -> dict[str, Any]:
    """What a file says, on top of what it extends."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        by = f", which {extended_by[-1]} extends" if extended_by else ""
        raise PresetError(f"cannot read preset {path}{by}: {_reason(error)}") from error
    own = _with_paths_beside(_parsed(text, str(path)), path.parent)
    if "extends" not in own:
        return own
    name = own.pop("extends")
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
        raise PresetError(
            f"{path}: extends = {_shown(name)}: name a preset beside this file, or a bundled one"
        )
    beside, bundled = path.with_name(f"{name}.toml"), presets_folder() / f"{name}.toml"
    below = bundled if bundled.is_file() and not beside.is_file() else beside
    if below in (path, *extended_by):
        raise PresetError(f"{path}: extends = {name!r} leads back to itself: name another preset")
    return _merged(_content(below, (*extended_by, path)), own)


def _with_paths_beside(data: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths to what lies beside the preset, in full; all others as they are.

    A preset can so be run from any directory. What does not lie there is a path from the working
    directory, or a hub id.
    """
    tables: list[tuple[Any, tuple[str, ...]]] = [
        (data.get("pair"), ("instruct", "thinking", "base"))
    ]
    lists: dict[str, tuple[str, ...]] = {"probes": ("path",), "recipes": ("backbone", "base")}
    for key, names in lists.items():
        rows = data.get(key)
        tables += [(row, names) for row in rows] if isinstance(rows, list) else []
    for table, names in tables:
        for name in names if isinstance(table, dict) else ():
            said = table.get(name)
            if isinstance(said, str) and said and not said.startswith("~"):
                beside = folder / said
                if is_file(beside) or is_directory(beside):
                    table[name] = str(beside.absolute())
    return data


def _merged(below: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Tables key by key, anything else replaced."""
    return below | {
        key: _merged(below[key], value)
        if isinstance(value, dict) and isinstance(below.get(key), dict)
        else value
        for key, value in own.items()
    }


def _parsed(text: str, where: str) -> dict[str, Any]:
    try:
        data: dict[str, Any] = tomlkit.parse(text).unwrap()
    except TOMLKitError as error:
        raise PresetError(f"{where} is not valid TOML: {error}") from error
    for key, value in _texts(data):
        if wrong := fault(value, lines=key != "a key"):
            # A preset may come from anyone, and its texts go to the terminal.
            raise PresetError(f"{where}: {key} {wrong}")
    return data


def _texts(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text in parsed TOML, keys too, with the key it stands under."""
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield "a key", name
            yield from _texts(inner, f"{key}.{name}".strip("."))
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner, key)


def _validated(data: dict[str, Any], where: str) -> Preset:
    rows = data.get("recipes", ())
    for row in rows if isinstance(rows, list) else ():
        # A row is decoded as the preset says, unless it says something else.
        if isinstance(row, dict) and "decoding" in data:
            row.setdefault("decoding", data["decoding"])
    try:
        # JSON mode lets lists be tuples and names be enums, and still refuses "0.5" for 0.5.
        return Preset.model_validate_json(json.dumps(data, default=str), strict=True)
    except ValidationError as error:
        raise PresetError(f"{where}: {explain(error.errors())}") from error


def write_preset(preset: Preset, path: Path) -> None:
    """Write a preset; comments and order of an existing file are kept.

    Values equal to their defaults are left out unless the file has them already.

    Raises:
        PresetError: the file cannot be written.
    """
    document = tomlkit.document()
    if path.exists():
        try:
            document = tomlkit.parse(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, TOMLKitError) as error:
            raise PresetError(f"cannot keep the comments of {path}: {_reason(error)}") from error
    _fill(document, preset)
    try:
        write_whole(path, tomlkit.dumps(document))
    except (OSError, UnicodeEncodeError) as error:
        raise PresetError(f"cannot write preset {path}: {_reason(error)}") from error


def preset_text(preset: Preset) -> str:
    """The preset as the text of a TOML file, defaults left out."""
    document = tomlkit.document()
    _fill(document, preset)
    return tomlkit.dumps(document)


def _fill(document: MutableMapping[str, Any], preset: Preset) -> None:
    """Make a document say what a preset says."""
    full = preset.model_dump(mode="json", by_alias=True, exclude_none=True)
    short = preset.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    if preset.decoding != Decoding():
        for row, whole in zip(short.get("recipes", ()), full["recipes"], strict=False):
            row["decoding"] = whole["decoding"]  # left out, it would be the preset's
    _update(document, full, short)


def _update(table: MutableMapping[str, Any], full: dict[str, Any], short: dict[str, Any]) -> None:
    """Make ``table`` say ``full``: keep what it spells out, add what is not a default."""
    for key in [key for key in table if key not in full]:
        del table[key]
    for key, value in full.items():
        if key not in table:
            if key in short:
                table[key] = short[key]
        elif isinstance(value, dict) and isinstance(table[key], MutableMapping):
            _update(table[key], value, short.get(key, {}))
        elif _tables(value) and isinstance(table[key], list) and len(table[key]) == len(value):
            for there, new in zip(table[key], value, strict=True):
                _update(there, new, new)
        elif _plain(table[key]) != value:
            table[key] = value


def _tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def explain(errors: Iterable[ErrorDetails]) -> str:
    """One line for the first of pydantic's errors: the key, what is wrong, what is allowed."""
    # A mistyped key is also a missing one; the unknown key is the better clue.
    listed = sorted(errors, key=lambda error: error["type"] != "extra_forbidden")
    first = listed[0]
    key = ".".join(str(part) for part in first["loc"]) or "preset"
    kind, context = first["type"], first.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = ", ".join(_allowed_keys(first["loc"][:-1]))
        message = f"unknown key {key}" + (f", allowed are {allowed}" if allowed else "")
    elif kind == "union_tag_not_found":
        message = f"{key}.{context['discriminator'].strip(chr(39))} is missing"
    elif kind == "missing":
        message = f"{key} is missing"
    elif kind == "value_error":
        message = f"{key}: {context.get('error', first['msg'])}"
    else:
        text = first["msg"]
        message = f"{key} = {_shown(first['input'])}: {text[0].lower()}{text[1:]}"
    more = f" (and {len(listed) - 1} more)" if len(listed) > 1 else ""
    return message + more


def _allowed_keys(location: tuple[int | str, ...]) -> list[str]:
    """The keys of the table at a place in a preset."""
    models: list[type[BaseModel]] = [Preset]
    for part in location:
        fields = [model.model_fields[part] for model in models if part in model.model_fields]
        if fields:
            models = [m for field in fields for m in _models_in(field.annotation)]
        elif ProbePlan in models and part in PROBE_KINDS:  # its kind stands in the place
            models = [PROBE_KINDS[str(part)].plan]
    return sorted({field.alias or name for m in models for name, field in m.model_fields.items()})


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 40 else text[:39] + "…"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error)
