"""Over a real sshd on loopback: the link is cut in the middle, and the study is found going on."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mi_tui.study.control import list_studies
from mi_tui.study.view import StudyEntry, StudyState
from tests.terminal import MI_TUI, Terminal

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
PATIENCE_SECONDS = 400.0

pytestmark = pytest.mark.skipif(
    SSHD is None or shutil.which("ssh") is None or shutil.which("ssh-keygen") is None,
    reason="needs sshd, ssh and ssh-keygen (Debian packages openssh-server, openssh-client)",
)


@dataclass(frozen=True, slots=True)
class Server:
    """A running sshd that lets the current user in with one key."""

    port: int
    key: Path
    studies: Path

    def command(self, *arguments: str) -> tuple[str, ...]:
        """The ssh client's command line that runs mi-tui on a terminal."""
        variables = {
            "MI_TUI_STUDIES": self.studies,
            "XDG_CONFIG_HOME": self.studies / "config",
            "XDG_STATE_HOME": self.studies / "state",
            "PYTHONPATH": Path(__file__).parents[1],
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        }
        given = [f"{name}={value}" for name, value in variables.items() if str(value)]
        options = [
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "IdentitiesOnly=yes",
            "LogLevel=ERROR",
        ]
        return (
            "ssh",
            "-F/dev/null",
            "-tt",
            *(f"-o{option}" for option in options),
            f"-p{self.port}",
            f"-i{self.key}",
            f"{getpass.getuser()}@127.0.0.1",
            "exec",
            "env",
            *given,
            *MI_TUI,
            *arguments,
        )


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """An sshd of our own on a free port, with keys of its own."""
    assert SSHD is not None
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "user"):
        make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)]
        subprocess.run(make, check=True)
    shutil.copy(keys / "user.pub", keys / "authorized")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    config = keys / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {keys / 'host'}\nPidFile none\n"
        f"AuthorizedKeysFile {keys / 'authorized'}\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nPermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:  # where the package's service would make it
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    log = keys / "log"
    process = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", str(log)])
    studies = tmp_path / "studies"
    monkeypatch.setenv("MI_TUI_STUDIES", str(studies))
    try:
        _wait_for_port(port)
        yield Server(port, keys / "user", studies)
    finally:
        process.terminate()
        process.wait(10)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("sshd did not listen within 20 s")


def _the_study() -> StudyEntry:
    (entry,) = list_studies()
    return entry


def _apps(study_folder: Path) -> list[int]:
    """The processes whose environment has the studies folder and that are no worker."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes()
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        ours = f"MI_TUI_STUDIES={study_folder}".encode() in environment
        app = command.startswith(sys.executable.encode())  # and not the ssh client
        if ours and app and command.endswith((b"mi_tui\0demo\0", b"mi_tui\0watch\0")):
            found.append(int(process.name))
    return found


def _until(what: str, happened: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.1)


def test_a_cut_link_loses_nothing(server: Server) -> None:
    with Terminal(server.command("demo")) as first:
        for screen in ("Enter goes to Budget", "Enter goes to Scope", "Enter starts the study"):
            first.wait_for(screen, 60)
            first.press("enter")
        first.wait_for(r"MI-0 ", PATIENCE_SECONDS)
        assert len(_apps(server.studies)) == 1
        first.process.kill(signal.SIGKILL)  # no goodbye, as when the network goes
        _until("the app's end", lambda: not _apps(server.studies), 30)

    cut = _the_study()
    assert cut.state in (StudyState.RUNNING, StudyState.DONE)
    _until("another rollout", lambda: _the_study().rollouts > cut.rollouts or _done())

    with (
        Terminal(server.command("watch")) as second,
        Terminal(server.command("watch")) as third,
    ):
        for terminal in (second, third):  # two may look on at once
            terminal.wait_for(r"MI-0\.6 ", PATIENCE_SECONDS)
        second.wait_for("✓ done", PATIENCE_SECONDS)
        third.wait_for("✓ done", PATIENCE_SECONDS)
        third.press("q")
        assert third.wait_until_ended() == 0
        second.press("enter")
        second.wait_for("Enter exports")
        second.press("enter")
        second.wait_for(r"Exported \d+ files", PATIENCE_SECONDS)
        second.press("q")
        assert second.wait_until_ended() == 0
    exports = {path.name for path in (_the_study().path / "exports").iterdir()}
    assert {"preset.toml", "recommendation.json", "mergekit.yaml", "report.html"} <= exports


def _done() -> bool:
    return _the_study().state is StudyState.DONE
