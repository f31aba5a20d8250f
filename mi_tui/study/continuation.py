"""The continuation of a study that has ended: more rollouts, tokens or time, or until settled."""

from pathlib import Path

from mi_tui.plan.budget import Budget
from mi_tui.plan.until import Unit, Until
from mi_tui.study.control import state_of
from mi_tui.study.storage.errors import StudyBusyError, StudyError
from mi_tui.study.storage.facts import Facts
from mi_tui.study.storage.folder import StudyFolder, find_study
from mi_tui.study.storage.store import Store
from mi_tui.study.view import StudyState


def extend_study(reference: Path | str, until: Until, budget: Budget | None = None) -> Path:
    """Ask for a study to go on; returns its directory.

    Nothing runs yet: the worker that is started next does it. The request is kept until then.

    Args:
        reference: the study.
        until: how far; ``+500 rollouts`` counts from where the study and requests before are.
        budget: the question from now on, in place of the study's.

    Raises:
        StudyBusyError: a worker is at it.
        StudyError: there is no such study, it cannot be written, or it has nothing to settle.
        UntilError: the study is that far already.
    """
    folder = find_study(reference)
    with Store(folder.database) as store, store.transaction():
        facts = Facts.of(store)
        facts.require_made()
        _require_sense(folder, facts, until, budget)
        end = until.in_all(_spent(store, facts))
        if budget is not None and budget != facts.preset.budget:
            store.leave_request("budget", {"budget": budget.model_dump(mode="json")})
        store.leave_request("extend", {"until": end.model_dump(mode="json")})
    return folder.path


def _require_sense(folder: StudyFolder, facts: Facts, until: Until, budget: Budget | None) -> None:
    state = state_of(folder, facts.state)
    if state.is_active:
        raise StudyBusyError(f"{folder.name} is {state}: let it end, or stop it first")
    if until.amount is not None:
        return
    preset = facts.preset
    if preset.is_ablation:
        raise StudyError(
            f"{folder.name} is an ablation, which compares rows and settles nothing: "
            "write +500 rollouts to narrow its intervals"
        )
    same = budget is None or budget == preset.budget
    if state is StudyState.DONE and facts.settled and same:
        raise StudyError(
            f"{folder.name} is settled already ({facts.message}): "
            "write +500 rollouts to narrow its intervals"
        )


def _spent(store: Store, facts: Facts) -> dict[Unit, float]:
    """What the study has taken, and what requests that wait will have it take."""
    rollouts, tokens = store.totals()
    spent: dict[Unit, float] = {
        "rollouts": rollouts,
        "tokens": tokens,
        "minutes": facts.elapsed / 60,
    }
    for request in store.open_requests():
        if request.kind == "extend":
            waits = Until.model_validate(request.data["until"])
            spent[waits.unit] = max(spent[waits.unit], waits.amount or 0.0)
    return spent
