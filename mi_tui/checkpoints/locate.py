"""The location of a checkpoint: a local directory, a hub id, or a bundled one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.weight_files import choose_weight_files, index_names, names_in
from mi_tui.paths import demo_pair_folder, expanded, is_directory, is_file

TEMPLATES = "additional_chat_templates"
"""The folder of chat templates beside the default one, by name."""

COMPANION_PATTERNS = (
    "*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken", "*.py", "LICENSE*",
    f"{TEMPLATES}/*.jinja",
)  # fmt: skip
"""What a checkpoint has beside its weights; ``*.py`` is inspected, never run."""

_BUNDLED = ("instruct", "thinking", "base")
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+(?:@[\w./-]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Location:
    """Where a checkpoint lies.

    ``reference`` is what the user wrote; ``path`` the local directory; ``repository`` the hub
    id without revision, and ``revision`` the hub's commit, both ``None`` for local directories.
    ``has_weights`` is false when only the companion files were fetched.
    """

    reference: str
    path: Path
    repository: str | None = None
    revision: str | None = None
    has_weights: bool = True

    def __str__(self) -> str:
        """The reference, with the exact commit for a checkpoint of the hub."""
        if self.repository is None or self.revision is None:
            return self.reference
        return f"{self.repository}@{self.revision}"


def locate(reference: str, *, revision: str | None = None, weights: bool = True) -> Location:
    """Find a checkpoint, downloading it when it is neither local nor cached.

    Args:
        reference: a directory, ``owner/name[@revision]`` on the hub, or ``bundled:instruct``,
            ``bundled:thinking``, ``bundled:base``. A directory wins over a hub id of that name.
        revision: the hub's branch, tag or commit, when the reference does not carry one.
        weights: whether the weights are needed; without them only the companion files are
            downloaded and the headers are read over the network.

    Raises:
        CheckpointError: nothing is there, or it cannot be downloaded.
    """
    if reference.startswith("bundled:"):
        return _bundled(reference)
    path = expanded(reference)
    if is_directory(path):
        return Location(reference, path.resolve())
    if is_file(path):
        raise CheckpointError(f"{reference} is a file: name the directory of the checkpoint")
    if _HUB_ID.fullmatch(reference) is None or reference.startswith((".", "~")):
        raise CheckpointError(
            f"no checkpoint at {reference}: name a directory, a hub id (owner/name) or "
            "bundled:instruct"
        )
    repository, _, named = reference.partition("@")
    return _from_hub(reference, repository, named or revision, weights)


def _bundled(reference: str) -> Location:
    name = reference.removeprefix("bundled:")
    if name not in _BUNDLED:
        raise CheckpointError(
            f"no bundled checkpoint {name!r}: there are instruct, thinking and base"
        )
    path = demo_pair_folder() / name
    if not path.is_dir():
        raise CheckpointError(f"{reference} is missing from this installation: install it again")
    return Location(reference, path)


def _from_hub(reference: str, repository: str, revision: str | None, weights: bool) -> Location:
    path = _download(reference, repository, revision, COMPANION_PATTERNS, quiet=True)
    if weights:
        # The commit, so that both downloads are of one state of the repository.
        names = _weight_names(repository, path)
        path = _download(reference, repository, path.name, (*COMPANION_PATTERNS, *names))
    # The cache names each snapshot by its commit.
    return Location(reference, path, repository, path.name, weights)


def _weight_names(repository: str, snapshot: Path) -> list[str]:
    """The weight files to download: those that transformers loads, and no other set."""
    found = choose_weight_files(_listed(repository, snapshot))
    return index_names(snapshot) if found.index else list(found.names)


def _listed(repository: str, snapshot: Path) -> list[str]:
    """The repository's files; without a network those of its snapshot in the cache."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled

    try:
        return HfApi().list_repo_files(repository, revision=snapshot.name)
    except (http_error(), OSError, OfflineModeIsEnabled, HFValidationError, ValueError):
        return names_in(snapshot)


def _download(
    reference: str,
    repository: str,
    revision: str | None,
    patterns: Sequence[str],
    *,
    quiet: bool = False,
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(patterns),
                tqdm_class=_no_progress() if quiet else None,
            )
        )
    except (HFValidationError, OSError, ValueError) as error:
        raise CheckpointError(_explain(reference, error)) from error


def _no_progress() -> Any:
    """A progress bar that never draws: a few small files, maybe fetched behind a screen."""
    from huggingface_hub.utils.tqdm import tqdm

    class Silent(tqdm):
        def __init__(self, *args: Any, **options: Any) -> None:
            # tqdm gives it no types.
            super().__init__(*args, **options | {"disable": True})  # type: ignore[no-untyped-call]

    return Silent


def _explain(reference: str, error: Exception) -> str:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return f"{reference} is gated: accept its terms on the hub, then run: hf auth login"
    if isinstance(error, errors.RepositoryNotFoundError):
        return (
            f"{reference} is neither a local directory nor a repository on the hub: check the name"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{reference}: the hub has no such revision: check the part after the @"
    if isinstance(error, (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError)):
        return (
            f"{reference} is neither a local directory nor in the hub cache, and the hub cannot be "
            "reached: check the name or the network"
        )
    return f"cannot download {reference}: {error}"


def http_error() -> type[Exception]:
    """The base of network errors, of whichever HTTP library the hub's client uses."""
    from huggingface_hub.errors import HfHubHTTPError

    bases = [base for base in HfHubHTTPError.__mro__[1:] if issubclass(base, Exception)]
    return next(base for base in bases if not issubclass(base, OSError))
