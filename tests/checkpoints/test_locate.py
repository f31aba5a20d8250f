"""Finding checkpoints: directories, the bundled pair, and the hub, without a network."""

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils._safetensors import SafetensorsFileMetadata, SafetensorsRepoMetadata
from huggingface_hub.utils._safetensors import TensorInfo as HubTensorInfo

from mi_tui.checkpoints import locate as module
from mi_tui.checkpoints.checks.compare import compare
from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.headers import read_header
from mi_tui.checkpoints.inspect import inspect
from mi_tui.checkpoints.locate import http_error, locate
from mi_tui.checkpoints.weight_files import INDEX
from tests.checkpoints.families import tiny_pair

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = locate(str(tmp_path))
    assert (location.path, location.repository, location.revision) == (tmp_path, None, None)
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert locate("owner/name").path == tmp_path / "owner" / "name"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert locate("~/owner").path == tmp_path / "owner"


@pytest.mark.parametrize(
    "reference", ["nowhere", "/no/such/place", "./owner/name", "a/b/c", "owner/na me", "~/x/y", ""]
)
def test_nothing_there(reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if reference == "":
        assert locate("").path == tmp_path
        return
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        locate(reference)


def test_a_file_is_no_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.touch()
    with pytest.raises(CheckpointError, match="name the directory"):
        locate(str(file))


def test_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "thinking").mkdir()
    monkeypatch.setattr(module, "demo_pair_folder", lambda: tmp_path)
    assert locate("bundled:thinking").path == tmp_path / "thinking"
    with pytest.raises(CheckpointError, match="install it again"):
        locate("bundled:base")
    with pytest.raises(CheckpointError, match="instruct, thinking and base"):
        locate("bundled:other")


class Hub:
    """A repository as the hub's client sees it: what is listed, and what was downloaded."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.folder = folder / "snapshots" / COMMIT
        self.names = names
        self.asked: list[tuple[str, str | None, list[str]]] = []

    def download(
        self, repository: str, *, revision: str | None, allow_patterns: list[str], tqdm_class: Any
    ) -> str:
        self.asked.append((repository, revision, allow_patterns))
        assert (tqdm_class is None) == (len(self.asked) % 2 == 0), "the long download shows itself"
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in self.names:
            if any(fnmatch(name, pattern) for pattern in allow_patterns):
                (self.folder / name).parent.mkdir(exist_ok=True)
                (self.folder / name).write_text(
                    '{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}'
                )
        return str(self.folder)

    @property
    def weights(self) -> list[str]:
        """The weights that were downloaded."""
        found = self.folder.glob("**/*")
        return sorted(f.name for f in found if f.suffix in (".safetensors", ".bin", ".pth"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    hub = Hub(tmp_path, ["config.json", "model.safetensors"])
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.download)
    monkeypatch.setattr(huggingface_hub.HfApi, "list_repo_files", lambda *_, **__: hub.names)
    return hub


def test_hub_reference_and_revision(hub: Hub) -> None:
    location = locate("owner/name@v1.0")
    assert (location.repository, location.revision) == ("owner/name", COMMIT)
    assert str(location) == f"owner/name@{COMMIT}"
    assert [(name, revision) for name, revision, _ in hub.asked] == [
        ("owner/name", "v1.0"),
        ("owner/name", COMMIT),
    ]
    assert hub.weights == ["model.safetensors"]


def test_without_weights_only_companions_are_downloaded(hub: Hub) -> None:
    locate("owner/name", revision="main", weights=False)
    assert [revision for _, revision, _ in hub.asked] == ["main"]
    assert hub.weights == []


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
        (["model.safetensors", "original/consolidated.00.pth"], ["model.safetensors"]),
        (["model.safetensors", "pytorch_model.bin"], ["model.safetensors"]),
        (["model.safetensors", "adapter_model.safetensors"], ["model.safetensors"]),
        (["model.safetensors", "onnx/model.safetensors"], ["model.safetensors"]),
        (
            ["model.safetensors", INDEX, "model-1.safetensors", "model-2.safetensors"],
            ["model.safetensors"],
        ),
        (
            [INDEX, "model-1.safetensors", "model-2.safetensors", "consolidated.safetensors"],
            ["model-1.safetensors", "model-2.safetensors"],
        ),
        (
            [INDEX, "model-1.safetensors", "model-2.safetensors", "model-3.safetensors"],
            ["model-1.safetensors", "model-2.safetensors"],
        ),
    ],
)
def test_only_the_model_is_downloaded(names: list[str], expected: list[str], hub: Hub) -> None:
    hub.names = ["config.json", *names]
    locate("owner/name")
    assert hub.weights == expected


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("x"), OfflineModeIsEnabled("x")])
def test_offline_and_not_cached(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(*_: object, **__: object) -> str:
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    with pytest.raises(CheckpointError, match="neither a local directory nor in the hub cache"):
        locate("owner/name")


def test_the_offline_cache_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real client, offline, on a cache laid out as it lays it out."""
    repository = tmp_path / "models--owner--name"
    instruct, _ = tiny_pair("qwen3", tmp_path)
    snapshot = repository / "snapshots" / COMMIT
    snapshot.parent.mkdir(parents=True)
    instruct.rename(snapshot)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    location = locate("owner/name")
    assert location.path == snapshot
    assert inspect(location).parameters > 0
    with pytest.raises(CheckpointError, match="hub cache"):
        locate("owner/other")


def hub_metadata(folder: Path) -> SafetensorsRepoMetadata:
    """What the hub's client would report about a checkpoint's headers."""
    files: dict[str, Any] = {}
    weight_map = {}
    for file in folder.glob("*.safetensors"):
        header = read_header(file)
        origin = min(tensor.start for tensor in header.values())
        files[file.name] = SafetensorsFileMetadata(
            metadata={},
            tensors={
                name: HubTensorInfo(
                    dtype=t.dtype,  # type: ignore[arg-type]
                    shape=list(t.shape),
                    data_offsets=(t.start - origin, t.end - origin),
                )
                for name, t in header.items()
            },
        )
        weight_map.update(dict.fromkeys(header, file.name))
    return SafetensorsRepoMetadata(
        metadata={}, sharded=len(files) > 1, weight_map=weight_map, files_metadata=files
    )


def test_a_pair_on_the_hub_is_checked_without_its_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instruct, thinking = tiny_pair("qwen3", tmp_path, shards=3, dtype=torch.bfloat16)
    local = inspect(locate(str(thinking)))
    answer = hub_metadata(thinking)
    # One shard is in the cache already; that is not enough to read from there.
    for file in sorted(thinking.glob("*.safetensors"))[1:]:
        file.unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(thinking))
    monkeypatch.setattr(huggingface_hub.HfApi, "get_safetensors_metadata", lambda *_, **__: answer)
    remote = inspect(locate("owner/name", weights=False))
    assert remote.nbytes == local.nbytes
    assert {n: (t.dtype, t.shape) for n, t in remote.tensors.items()} == {
        n: (t.dtype, t.shape) for n, t in local.tensors.items()
    }
    assert compare(inspect(locate(str(instruct))), remote).fits


def test_network_errors_while_reading_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, thinking = tiny_pair("qwen3", tmp_path)
    (thinking / "model.safetensors").unlink()

    def fail(*_: object, **__: object) -> None:
        raise http_error()("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(thinking))
    monkeypatch.setattr(huggingface_hub.HfApi, "get_safetensors_metadata", fail)
    with pytest.raises(CheckpointError, match="no route to host"):
        inspect(locate("owner/name", weights=False))
