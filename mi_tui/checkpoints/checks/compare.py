"""The comparison of checkpoints: whether they fit together, from headers and JSON files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mi_tui.checkpoints.checks.config_settings import Difference, differences
from mi_tui.checkpoints.checks.end_tokens import end_token_findings
from mi_tui.checkpoints.checks.extra_tensors import is_extra
from mi_tui.checkpoints.checks.findings import Finding, Level, PairReport
from mi_tui.checkpoints.checks.own_config import own_problems
from mi_tui.checkpoints.headers import MIXABLE, TensorInfo
from mi_tui.checkpoints.inspect import CheckpointInfo
from mi_tui.checkpoints.roles import role_of
from mi_tui.checkpoints.vocabulary import reused_ids
from mi_tui.checkpoints.weight_files import INDEX, SINGLE
from mi_tui.plan.scope import ModuleKind
from mi_tui.plan.thinking_tags import THINK
from mi_tui.text.plurals import counted
from mi_tui.text.sizes import in_bytes, in_numbers

CODE = "remote code"
"""What the findings about a checkpoint's own Python code are about."""

_FEW_IDS = 8
"""As many ids may mean another token in any vocabulary: a tokenizer with its own special tokens."""


def compare(
    instruct: CheckpointInfo,
    thinking: CheckpointInfo,
    base: CheckpointInfo | None = None,
    *,
    trust_remote_code: bool = False,
) -> PairReport:
    """Check that a pair (and the base of the baselines) can be mixed.

    Reads no weights. Takes well under a second for a local pair.
    """
    sides = {"instruct": instruct, "thinking": thinking}
    findings = [*_pair(sides), *_remote_code(sides.values(), trust_remote_code)]
    if base is not None:
        against = {"thinking": thinking, "base": base}
        findings += [f for f in _pair(against, brief=True) if f.level != "ok"]
    return PairReport(tuple(dict.fromkeys(findings)))


def compare_many(
    checkpoints: Sequence[CheckpointInfo], *, trust_remote_code: bool = False
) -> PairReport:
    """Check that any number of checkpoints can be mixed, each against the first."""
    first, *others = checkpoints
    findings: list[Finding] = list(_remote_code([first, *others], trust_remote_code))
    for number, other in enumerate(others, 2):
        findings += _pair({"checkpoint 1": first, f"checkpoint {number}": other})
    return PairReport(tuple(dict.fromkeys(findings)))


def _pair(sides: Mapping[str, CheckpointInfo], brief: bool = False) -> Iterator[Finding]:
    (name_a, a), (name_b, b) = sides.items()
    for name, info in sides.items():
        yield from _usable(name, info)
    if (a.location.path, a.location.revision) == (b.location.path, b.location.revision):
        message = f"{name_a} and {name_b} are the same checkpoint: every λ gives this model"
        yield Finding("warning", "pair", message)
    yield _architecture(name_a, a, name_b, b)
    yield from _config(name_a, a, name_b, b)
    yield from _tensors(name_a, a, name_b, b)
    if a.tensors and b.tensors:
        yield _dtypes(name_a, a, name_b, b)
    yield _tied(name_a, a, name_b, b)
    if brief:
        return
    yield from _vocabulary(name_a, a, name_b, b)
    yield _special_tokens(name_a, a, name_b, b)
    yield _chat_template(sides)
    yield _thinking_tags(sides)
    yield from end_token_findings(sides)


def _usable(name: str, info: CheckpointInfo) -> Iterator[Finding]:
    problems = (*info.problems, *own_problems(info))
    for problem in problems:
        yield Finding("error", f"{name} weights", problem)
    if info.rivals:
        rivals = ", ".join(info.rivals)
        taken = info.files[0].name if len(info.files) == 1 else f"what {INDEX} lists"
        message = f"{taken} is the model, as transformers loads it; not used: {rivals}"
        yield Finding("warning", f"{name} weights", message)
    elif info.files and not info.is_as_transformers_looks_for:
        names = _listed([file.name for file in info.files], "files")
        message = (
            f"{names}: taken, though without {SINGLE} or an index transformers finds no weights"
        )
        yield Finding("warning", f"{name} weights", message)
    if info.left_over_quantisation:
        message = (
            f"config.json says {info.left_over_quantisation}, but the weights are plain: its "
            "quantization_config is left out"
        )
        yield Finding("warning", f"{name} weights", message)
    if info.quantisation is not None:
        yield Finding(
            "error",
            f"{name} weights",
            f"{info} is quantised ({info.quantisation}), and quantised weights cannot be mixed: "
            "take the bf16 checkpoint, mix, then quantise the result",
        )
    elif not problems:
        shards = f"{len(info.files)} file" + "s" * (len(info.files) > 1)
        size = f"{in_numbers(info.parameters)} parameters, {in_bytes(info.nbytes)}, {shards}"
        if info.dequantised:
            size = f"{info.dequantised}, read as bf16; {size}"
        if info.others:
            size += f"; not the model: {_listed(list(info.others), 'files')}"
        yield Finding("ok", f"{name} weights", size)


def _architecture(name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo) -> Finding:
    if a.model_type != b.model_type:
        message = f"{name_a} is {a.model_type}, {name_b} is {b.model_type}: take two of one family"
        return Finding("error", "architecture", message)
    if a.architecture != b.architecture:
        message = f"{name_a} is {a.architecture}, {name_b} is {b.architecture}"
        return Finding("warning", "architecture", message)
    return Finding("ok", "architecture", f"{a.architecture}, {a.layers} layers")


def _config(name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo) -> Iterator[Finding]:
    differing = differences(a.config, b.config)
    shapes = [d for d in differing if d.changes_shape]
    settings = [d for d in differing if not d.changes_shape]
    if shapes:
        yield Finding("error", "shape", _in_words(shapes, name_a, name_b))
    if settings:
        yield settings_finding(settings, name_a, name_b)


def settings_finding(found: Iterable[Difference], name_a: str, name_b: str) -> Finding:
    """A warning that names settings with both values."""
    text = _in_words(found, name_a, name_b)
    return Finding("warning", "settings", f"{text}; the donor's are used")


def _in_words(found: Iterable[Difference], name_a: str, name_b: str) -> str:
    def shown(value: Any) -> str:
        text = repr(value) if isinstance(value, str) else str(value)
        return text if len(text) <= 80 else text[:79] + "…"

    return "; ".join(
        f"{d.key} is {shown(d.values[0])} in {name_a}, {shown(d.values[1])} in {name_b}"
        for d in found
    )


def _tensors(name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo) -> Iterator[Finding]:
    before = True
    if a.problems or b.problems:
        return  # Missing tensors would only repeat the missing shards.
    for name, own, other in ((name_a, a, b), (name_b, b, a)):
        heads = {info.name for info in (own.stored_head,) if info and (a.is_tied or b.is_tied)}
        alone = [t for t in own.tensors if t not in other.tensors and t not in heads]
        extra = [t for t in alone if is_extra(t, own.text_config)]
        if extra:
            message = (
                f"{_listed(extra)} only in {name}: the merge has them if {name} is the donor and "
                "prediction layers are kept"
            )
            yield Finding("warning", "extra tensors", message)
        if wanting := [t for t in alone if t not in extra]:
            before = False
            yield Finding("error", "tensors", f"{_listed(wanting)} only in {name}")
    shared = [(a.tensors[t], b.tensors[t]) for t in a.tensors if t in b.tensors]
    wrong = [x for x, y in shared if x.shape != y.shape and not differs_in_rows_only(x, y)]
    if wrong:
        before = False
        yield Finding("error", "shape", f"{_listed([t.name for t in wrong])} differ in shape")
    mixed = [x.name for x, y in shared if (x.dtype in MIXABLE) != (y.dtype in MIXABLE)]
    if mixed:
        before = False
        yield Finding(
            "error", "dtype", f"{_listed(mixed)} numbers on one side, integers on the other"
        )
    unknown = [x.name for x, _ in shared if not role_of(x.name).recognised]
    if unknown:
        message = f"{_listed(unknown)} of unknown role: a scope counts them as FFN"
        yield Finding("warning", "modules", message)
    if before:
        yield Finding(
            "ok", "tensors", f"{counted(len(shared), 'tensor')} with equal names and shapes"
        )


def differs_in_rows_only(a: TensorInfo, b: TensorInfo) -> bool:
    """Whether two tensors are embeddings or heads that are padded to different lengths."""
    kind = role_of(a.name).kind
    return (
        kind in (ModuleKind.EMBEDDINGS, ModuleKind.HEAD)
        and len(a.shape) == len(b.shape)
        and len(a.shape) > 0
        and a.shape[1:] == b.shape[1:]
    )


def _listed(names: list[str], noun: str = "tensors") -> str:
    few = ", ".join(names[:2])
    return few if len(names) <= 2 else f"{few} and {len(names) - 2} more {noun}"


def _dtypes(name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo) -> Finding:
    shown_a, shown_b = ("/".join(info.dtypes).lower() for info in (a, b))
    if shown_a == shown_b:
        return Finding("ok", "dtype", shown_a)
    return Finding("warning", "dtype", f"{shown_a} in {name_a}, {shown_b} in {name_b}")


def _tied(name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo) -> Finding:
    if a.is_tied and b.is_tied:
        return Finding("ok", "head", "tied to the embeddings")
    if a.head == b.head == "own":
        return Finding("ok", "head", "of its own")
    said = "; ".join(f"{name}: {_head_in_words(info)}" for name, info in ((name_a, a), (name_b, b)))
    return Finding("warning", "head", f"{said}; the merge has a head of its own, untied")


def _head_in_words(info: CheckpointInfo) -> str:
    if info.stored_head is None or info.head == "tied":
        return "tied to the embeddings"
    if info.head == "own":
        return "of its own"
    return f"{info.stored_head.name} is stored and is not the embedding, though config ties it"


def _vocabulary(
    name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo
) -> Iterator[Finding]:
    if a.embedding and b.embedding and a.embedding.shape != b.embedding.shape:
        rows = f"{a.embedding.shape[0]} rows in {name_a}, {b.embedding.shape[0]} in {name_b}"
        message = f"{rows}: the common rows are mixed, the donor's further rows kept"
        yield Finding("warning", "embeddings", message)
    one, two = a.tokenizer, b.tokenizer
    if one.digest and two.digest and not (one.vocabulary and two.vocabulary):
        same = one.digest == two.digest
        text = "equal tokenizer.model files" if same else "the tokenizer.model files differ"
        yield Finding("ok" if same else "warning", "vocabulary", text)
        return
    if not one.vocabulary or not two.vocabulary:
        lacking = name_b if one.vocabulary else name_a
        yield Finding("warning", "vocabulary", f"{lacking} has no tokenizer.json to compare")
        return
    yield _tokens(name_a, one.vocabulary, name_b, two.vocabulary)


def _tokens(name_a: str, a: Mapping[str, int], name_b: str, b: Mapping[str, int]) -> Finding:
    if a == b:
        return Finding("ok", "vocabulary", f"the same {counted(len(a), 'token')}")
    if reused := reused_ids(a, (b,)):
        mine, theirs = ({n: t for t, n in side.items()}[reused[0]] for side in (a, b))
        number = len(reused)
        grave = number > max(_FEW_IDS, 0.01 * len(a))
        message = (
            f"{number} id{'s' * (number > 1)} mean{'s' * (number == 1)} different tokens, such as "
            f"{reused[0]}, {mine!r} in {name_a} and {theirs!r} in {name_b}"
        )
        advice = "these models do not share a tokenizer" if grave else "the donor's rows are kept"
        return Finding("error" if grave else "warning", "vocabulary", f"{message}: {advice}")
    only_a, only_b = len(a.keys() - b.keys()), len(b.keys() - a.keys())
    message = f"{only_a} tokens only in {name_a}, {only_b} only in {name_b}; the donor's are kept"
    return Finding("warning", "vocabulary", message)


def _special_tokens(name_a: str, a: CheckpointInfo, name_b: str, b: CheckpointInfo) -> Finding:
    one, two = a.tokenizer.special, b.tokenizer.special
    differing = sorted(k for k in one.keys() | two.keys() if one.get(k) != two.get(k))
    if differing:
        text = "; ".join(
            f"{k} is {one.get(k)!r} in {name_a}, {two.get(k)!r} in {name_b}" for k in differing
        )
        return Finding("warning", "special tokens", f"{text}; the donor's are used")
    return Finding("ok", "special tokens", ", ".join(f"{k} {v}" for k, v in one.items()) or "none")


def _chat_template(sides: Mapping[str, CheckpointInfo]) -> Finding:
    def said(info: CheckpointInfo) -> str:
        if info.tokenizer.chat_template is None:
            return "has none"
        opened = info.tokenizer.opens_thinking
        tag = opened or next(iter(info.tokenizer.thinking_tags), THINK)
        return f"opens {tag.opening}" if opened else f"does not open {tag.opening}"

    (name_a, a), (name_b, b) = sides.items()
    if a.tokenizer.chat_template == b.tokenizer.chat_template:
        both = f"the same on both sides, {said(a)}"
        level: Level = "ok" if a.tokenizer.chat_template is not None else "warning"
        return Finding(level, "chat template", both)
    text = f"{name_a}'s {said(a)}, {name_b}'s {said(b)}; the donor's is used for every λ"
    return Finding("ok", "chat template", text)


def _thinking_tags(sides: Mapping[str, CheckpointInfo]) -> Finding:
    found = {name: info.tokenizer.thinking_tags for name, info in sides.items()}
    every = list(dict.fromkeys(tags for one in found.values() for tags in one))
    if not every:
        message = "no known ones in the templates or tokens: all known ones are looked for"
        return Finding("ok", "thinking tags", message)
    texts = [
        f"{tags}" if all(tags in one for one in found.values()) else f"{tags} of {name}"
        for tags in every
        for name in [next(name for name, one in found.items() if tags in one)]
    ]
    return Finding("ok", "thinking tags", "; ".join(texts))


def _remote_code(infos: Iterable[CheckpointInfo], trusted: bool) -> Iterator[Finding]:
    for info in infos:
        if info.needs_remote_code:
            message = f"{info} brings Python code of its own, which transformers would run"
            if trusted:
                yield Finding("warning", CODE, f"{message}: trusted as you asked")
            else:
                advice = "read it, then set trust_remote_code; merging alone does not need it"
                yield Finding("warning", CODE, f"{message}: {advice}")
