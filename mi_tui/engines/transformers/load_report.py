"""The load report of a checkpoint: what transformers makes of its tensors, from headers alone.

transformers builds the model without memory (device ``meta``) in a process of its own and says
which of the model's tensors the checkpoint lacks, which of its own no model takes, and which have
another shape (``PreTrainedModel.from_pretrained``, ``output_loading_info``). No weights are read.
Run as ``python -m mi_tui.engines.transformers.load_report`` it is that process: a JSON list of
checkpoints comes in on standard input, a JSON list of reports goes out.
"""

import json
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from mi_tui.checkpoints.checks.extra_tensors import is_extra
from mi_tui.checkpoints.checks.remote_code import is_trusted
from mi_tui.checkpoints.inspect import CheckpointInfo

_SECONDS = 180.0
"""Far more than building the largest models on ``meta`` takes."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What transformers says of one checkpoint.

    ``missing`` are tensors that would be random, ``unexpected`` ones that no module takes,
    ``mismatched`` ones of another shape than the config implies. ``settings`` is the config with
    every default written out. ``problem`` says why transformers cannot build the model, and is
    empty where it can; ``unknown`` why it could not be asked, such as a time limit.
    ``no_one_pass`` says why the engine cannot mix a pair of such checkpoints in one pass, if all
    weights differ that are not known to be equal, and ``no_slots`` why requests must start
    together; empty where not so.
    """

    model_class: str = ""
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    problem: str = ""
    unknown: str = ""
    no_one_pass: str = ""
    no_slots: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether the model loads with every tensor in its place, as far as could be asked."""
        return not (self.problem or self.missing or self.unexpected or self.mismatched)

    @property
    def engine(self) -> str:
        """How the transformers engine runs a pair of such checkpoints; empty where unknown."""
        if self.unknown:
            return ""
        if self.problem:
            return f"merge only: {self.problem}"
        return engine_words(self.no_one_pass, self.no_slots)


def engine_words(no_one_pass: str, no_slots: str) -> str:
    """How the engine runs a pair: ``one pass``, or ``in place: …`` and why.

    Args:
        no_one_pass: why recipes cannot share a batch; empty where they can.
        no_slots: why requests of different lengths cannot; empty where they can.
    """
    words = f"in place: {no_one_pass}" if no_one_pass else "one pass"
    return f"{words}; requests start together: {no_slots}" if no_slots else words


def load_reports(
    infos: Sequence[CheckpointInfo],
    *,
    trust_remote_code: bool = False,
    equal: Collection[str] = (),
    seconds: float = _SECONDS,
) -> tuple[LoadReport, ...]:
    """The load report of each checkpoint; takes some seconds, of which most are imports.

    Where transformers cannot be asked, the report says why.

    Args:
        infos: checkpoints, of which the headers suffice.
        trust_remote_code: whether Python code of a checkpoint is to run in that process; it does
            where the user has allowed it.
        equal: tensors that are known to be the same in all of them.
        seconds: the time after which the process is ended.

    Raises:
        CheckpointError: code of a checkpoint cannot be read, or lies in another repository.
    """
    asked = [
        {
            "folder": str(info.location.path),
            "trust": is_trusted(info.location, trust_remote_code),
            "code": info.needs_remote_code,
            "equal": sorted(equal),
            "tensors": {t.name: [t.dtype, list(t.shape)] for t in info.tensors.values()},
        }
        for info in infos
    ]
    command = [sys.executable, "-P", "-m", "mi_tui.engines.transformers.load_report"]
    try:
        done = subprocess.run(
            command, input=json.dumps(asked), capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return _unknown(infos, f"transformers did not answer within {seconds:g} s")
    except OSError as error:
        return _unknown(infos, f"transformers cannot be asked: {error}")
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        return _unknown(infos, f"transformers cannot be asked: {said[-1][:200]}")
    answers = json.loads(done.stdout)
    return tuple(_report(info, answer) for info, answer in zip(infos, answers, strict=True))


def _unknown(infos: Sequence[CheckpointInfo], reason: str) -> tuple[LoadReport, ...]:
    return tuple(LoadReport(unknown=reason) for _ in infos)


def _report(info: CheckpointInfo, answer: Mapping[str, Any]) -> LoadReport:
    lists = ("missing", "unexpected", "mismatched")
    report = LoadReport(**{**answer, **{name: tuple(answer[name]) for name in lists}})
    no_place = tuple(n for n in report.unexpected if not is_extra(n, info.text_config))
    return replace(report, unexpected=no_place)


def _main() -> None:
    import os

    # What libraries print must not mix with the answer.
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    asked = json.load(sys.stdin)

    from mi_tui.engines.transformers.model.meta_model import report_on

    json.dump([asdict(report_on(**one)) for one in asked], out, default=str)
    out.close()


if __name__ == "__main__":
    _main()
