"""All or nothing: kills, interrupts, full disks and occupied targets."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from mi_tui.checkpoints.errors import CheckpointError
from mi_tui.checkpoints.merging import staging, tensor_worker
from mi_tui.checkpoints.merging.manifest import verify
from mi_tui.checkpoints.merging.staging import staged
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation
from tests.checkpoints.families import tiny_pair

HALF = interpolation(0.5)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    instruct, thinking = tiny_pair("qwen3", tmp_path / "pair", shards=2)
    return Pair(instruct=str(instruct), thinking=str(thinking))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place" / "out"


def left_over(out: Path) -> list[str]:
    return sorted(path.name for path in out.parent.iterdir() if path != out)


KILLED = """
import os, signal, sys
from pathlib import Path
from mi_tui.checkpoints.merging import {module}
from mi_tui.checkpoints.merging.write import merge
from mi_tui.plan.pair import Pair
from mi_tui.plan.recipe import interpolation

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

{target} = die
merge(interpolation(0.5), Pair(instruct=sys.argv[1], thinking=sys.argv[2]), Path(sys.argv[3]))
"""

MOMENTS = {
    "while computing": ("tensor_worker", "tensor_worker.TensorWorker._blend"),
    "before the sync": ("shard_file", "shard_file.ShardFile.close"),
    "before the companions": ("write", "write.copy_companions"),
    "before the rename": ("staging", "staging._replace"),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_kill_9_leaves_no_half_checkpoint_and_a_second_try_works(
    moment: str, pair: Pair, out: Path
) -> None:
    module, target = MOMENTS[moment]
    code = KILLED.format(module=module, target=target)
    command = [sys.executable, "-c", code, pair.instruct, pair.thinking, str(out)]
    killed = subprocess.run(command, check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert len(left_over(out)) == 1
    merge(HALF, pair, out)
    assert left_over(out) == []
    assert {finding.level for finding in verify(out)} == {"ok"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_leaves_nothing(number: signal.Signals, pair: Pair, out: Path) -> None:
    """SIGTERM, as a cancelled export sends it, and a lost terminal clean up at once."""
    code = KILLED.replace("SIGKILL", number.name).format(
        module="write", target="write.copy_companions"
    )
    command = [sys.executable, "-c", code, pair.instruct, pair.thinking, str(out)]
    ended = subprocess.run(command, check=False, timeout=60)
    assert ended.returncode == 128 + number
    assert not out.exists()
    assert left_over(out) == []


def test_a_run_still_at_work_is_left_alone(out: Path) -> None:
    with staged(out) as folder:
        (folder / "file").write_text("mine")
        with staged(out) as other:
            assert folder.is_dir()
            (other / "file").write_text("other")
        assert (out / "file").read_text() == "other"
        with pytest.raises(CheckpointError, match="not empty"):  # noqa: SIM117
            with staged(out):
                pass
        out.joinpath("file").unlink()
    assert (out / "file").read_text() == "mine"


def test_an_interrupt_leaves_nothing(pair: Pair, out: Path) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(HALF, pair, out, progress=interrupt)
    assert not out.exists()
    assert left_over(out) == []


def test_a_failing_thread_leaves_nothing(
    pair: Pair, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(tensor_worker.TensorWorker, "_blend", fail)
    with pytest.raises(CheckpointError, match="input/output error"):
        merge(HALF, pair, out, threads=3)
    assert not out.exists()
    assert left_over(out) == []


def test_the_disk_is_asked_first(pair: Pair, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 20, 0, 1000))
    with pytest.raises(CheckpointError, match=r"has 0\.977 KiB free"):
        merge(HALF, pair, out)
    assert not out.exists()


def test_a_disk_that_fills_up_is_said(
    pair: Pair, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(CheckpointError, match="full"):
        merge(HALF, pair, out)
    assert not out.exists()
    assert left_over(out) == []


def test_a_source_cut_short_meanwhile(pair: Pair, out: Path) -> None:
    """The file shrinks after it was inspected: an error, not a crash, and no output."""
    from mi_tui.checkpoints.merging.plan import plan_merge
    from mi_tui.checkpoints.merging.write import carry_out

    plan = plan_merge(HALF, pair, out)
    file = plan.sources[1].info.files[0]
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="became shorter"):
        carry_out(plan)
    assert not out.exists()


def test_what_is_there_is_kept(pair: Pair, out: Path) -> None:
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="not empty"):
        merge(HALF, pair, out)
    with pytest.raises(CheckpointError, match=r"notes\.txt, which no merge wrote"):
        merge(HALF, pair, out, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    file = out.parent / "file"
    file.touch()
    with pytest.raises(CheckpointError, match="is a file"):
        merge(HALF, pair, file)


def test_an_earlier_merge_is_replaced_when_asked(pair: Pair, out: Path) -> None:
    merge(HALF, pair, out, shard_bytes=30_000)
    with pytest.raises(CheckpointError, match="not empty"):
        merge(HALF, pair, out)
    merge(HALF, pair, out, overwrite=True)
    assert {finding.level for finding in verify(out)} == {"ok"}
    assert left_over(out) == []
    (out / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="no merge wrote"):
        merge(HALF, pair, out, overwrite=True)


def test_a_source_is_never_written_over(pair: Pair) -> None:
    source = Path(pair.thinking)
    before = {file: file.read_bytes() for file in source.iterdir()}
    for place in (source, source.parent):
        with pytest.raises(CheckpointError, match="would replace"):
            merge(HALF, pair, place, overwrite=True)
    assert {file: file.read_bytes() for file in source.iterdir()} == before


def test_an_overwrite_that_fails_keeps_the_old(
    pair: Pair, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(HALF, pair, out)
    before = (out / "model.safetensors").read_bytes()
    monkeypatch.setattr(tensor_worker.TensorWorker, "_blend", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        merge(interpolation(0.2), pair, out, overwrite=True)
    assert (out / "model.safetensors").read_bytes() == before
    assert left_over(out) == []


def test_an_empty_directory_is_a_fine_target(pair: Pair, out: Path) -> None:
    out.mkdir()
    merge(HALF, pair, out)
    assert (out / "model.safetensors").is_file()


def test_parents_are_made_and_files_are_readable(pair: Pair, out: Path) -> None:
    merge(HALF, pair, out / "deep" / "er")
    mask = os.umask(0o022)
    os.umask(mask)
    assert (out / "deep" / "er").stat().st_mode & 0o777 == 0o777 & ~mask
    assert (out / "deep" / "er" / "model.safetensors").stat().st_mode & 0o777 == 0o666 & ~mask


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_that_cannot_be_written(pair: Pair, out: Path) -> None:
    out.parent.chmod(0o500)
    try:
        with pytest.raises(CheckpointError, match="permission denied"):
            merge(HALF, pair, out)
    finally:
        out.parent.chmod(0o700)


def test_a_place_under_a_file_cannot_be_written(pair: Pair, out: Path) -> None:
    out.write_text("a file")
    with pytest.raises(CheckpointError, match="cannot write"):
        merge(HALF, pair, out / "below")


def test_two_merges_at_once_do_not_disturb_each_other(pair: Pair, out: Path) -> None:
    code = KILLED.replace("{target} = die\n", "").format(module="write")
    command = [sys.executable, "-c", code, pair.instruct, pair.thinking]
    runs = [subprocess.Popen([*command, str(out.parent / str(i))]) for i in range(2)]
    deadline = time.monotonic() + 60
    assert [run.wait(max(1, deadline - time.monotonic())) for run in runs] == [0, 0]
    for number in range(2):
        assert {finding.level for finding in verify(out.parent / str(number))} == {"ok"}


def test_an_overwrite_exchanges_the_names_so_that_a_kill_leaves_one_of_the_two(
    pair: Pair, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(HALF, pair, out)
    before = out.stat().st_ino
    there: list[bool] = []

    def look(path: Path, **_: object) -> None:
        there.append(out.is_dir() and out.stat().st_ino != before)

    monkeypatch.setattr(shutil, "rmtree", look)
    renames: list[Path] = []
    monkeypatch.setattr(Path, "rename", lambda self, to: renames.append(self))
    merge(HALF, pair, out, overwrite=True)
    assert there[0]
    assert renames == []  # at no moment was there nothing


def test_without_an_exchange_the_old_one_is_moved_away(
    pair: Pair, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merge(HALF, pair, out)
    monkeypatch.setattr(staging, "_exchange", lambda one, other: False)
    merge(HALF, pair, out, overwrite=True)
    assert {finding.level for finding in verify(out)} == {"ok"}
    assert [file.name for file in out.parent.glob(".*")] == []


def test_only_parts_of_ours_are_removed(pair: Pair, out: Path) -> None:
    odd = out.with_name("ou[t]")
    users, ours = odd.with_name(".ou[t].partial-mine"), odd.with_name(".ou[t].partial-dead")
    users.mkdir(parents=True)
    (users / "thesis.tex").write_text("mine")
    other = odd.with_name(".out.partial-x")
    other.mkdir()
    (other / ".lock").touch()
    ours.mkdir()
    (ours / "mi_tui_manifest.json").write_text("{}")
    (ours / "model.safetensors").write_text("half")
    linked = odd.with_name(".ou[t].partial-link")
    linked.symlink_to(users)
    merge(HALF, pair, odd)
    assert (users / "thesis.tex").read_text() == "mine"
    assert linked.is_symlink()
    assert other.is_dir()
    assert not ours.exists()
