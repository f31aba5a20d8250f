"""Releases: the archives, built twice and compared, and their trial in fresh environments.

``build`` makes a source archive and two wheels of the last commit in ``dist/``; ``try PYTHON…``
installs the wheel into a fresh environment of each Python and uses it there as a user does.
See docs/releasing.md.
"""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[1]
sys.path.insert(0, str(PROJECT))

from tests.terminal import Terminal  # noqa: E402 - found only by the line above

_PRESET = """\
title = "Tiny"
[pair]
instruct = "bundled:instruct"
thinking = "bundled:thinking"
[[probes]]
kind = "arithmetic"
problems = 4
max_new_tokens = 64
[budget]
objective = "score-within-tokens"
limit = 60
[search]
grid = [0.0, 1.0]
samples = 1
refine = false
[engine]
threads = 1
[server]
time_to_first_token = 0.01
time_per_output_token = 0.005
"""

_ANSWERED = (0, 3)
"""What ``mi-tui run`` ends with: an answer, or too little data for one."""


class ReleaseError(Exception):
    """Something that a release must not have, in one line."""


# -- build --------------------------------------------------------------------------------


def build(dist: Path) -> list[Path]:
    """Build the last commit twice, in different places, and keep what came out alike.

    Returns:
        The source archive, the pure wheel and, where there is a C compiler, the wheel with the
        compiled kernel.

    Raises:
        ReleaseError: the checkout has changes, the changelog does not name the version, or the
            two builds differ.
    """
    if _git("status", "--porcelain"):
        raise ReleaseError("the checkout has changes: commit them first")
    version = _version()
    heading = rf"^## \[?{re.escape(version)}\b"
    if not re.search(heading, (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M):
        raise ReleaseError(f"CHANGELOG.md has no section for {version}: write it")
    with tempfile.TemporaryDirectory() as name:
        first, second = (_built(Path(name) / place) for place in ("one", "a-longer-name/two"))
        require_same(first, second)
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(first, dist)
    found = sorted(dist.iterdir())
    sums = "".join(f"{_sha256(file)}  {file.name}\n" for file in found)
    (dist / "SHA256SUMS").write_text(sums, encoding="utf-8")
    return found


def require_same(first: Path, second: Path) -> None:
    """Refuse two folders that do not hold the same files, byte by byte.

    Raises:
        ReleaseError: they differ; the message names the first file that does.
    """
    names = sorted({file.name for folder in (first, second) for file in folder.iterdir()})
    for name in names:
        files = [folder / name for folder in (first, second)]
        if not all(file.is_file() for file in files) or _sha256(files[0]) != _sha256(files[1]):
            raise ReleaseError(f"two builds of {name} differ: find out what changes between them")


def _built(place: Path) -> Path:
    """The archives of the last commit, built in a folder: the wheels out of the source archive."""
    source, out = place / "source", place / "out"
    source.mkdir(parents=True)
    packed = subprocess.run(
        ["git", "archive", "HEAD"], cwd=PROJECT, check=True, capture_output=True
    )
    subprocess.run(["tar", "x", "-C", str(source)], input=packed.stdout, check=True)
    _hatch(source, "sdist", out)
    (archive,) = out.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        content.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    _hatch(unpacked, "wheel", out, MI_TUI_PURE="1")
    _hatch(unpacked, "wheel", out)
    return out


def _hatch(project: Path, target: str, out: Path, **more: str) -> None:
    epoch = _git("log", "-1", "--format=%ct")
    environment = {key: value for key, value in os.environ.items() if key != "MI_TUI_PURE"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)],
        cwd=project,
        env=environment | {"SOURCE_DATE_EPOCH": epoch} | more,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=PROJECT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def _version() -> str:
    text = (PROJECT / "mi_tui/__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.M)
    if found is None:
        raise ReleaseError("mi_tui/__init__.py has no __version__")
    return found[1]


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


# -- try ----------------------------------------------------------------------------------


def try_wheel(wheel: Path, python: str, constraints: Path) -> str:
    """Install a wheel into a fresh environment of a Python and use it as a user does.

    Returns:
        One line on what was tried, and the digest of a checkpoint that was merged there.

    Raises:
        ReleaseError: something in it does not work.
        subprocess.CalledProcessError: it cannot be installed.
    """
    with tempfile.TemporaryDirectory(prefix="mi-tui-release-") as name:
        folder = Path(name)
        venv = folder / "venv"
        subprocess.run([python, "-m", "venv", str(venv)], check=True)
        install = [venv / "bin/python", "-m", "pip", "install", "--quiet", "-c", constraints, wheel]
        subprocess.run([str(part) for part in install], check=True)
        return try_installed(venv / "bin", folder)


def try_installed(programs: Path, folder: Path) -> str:
    """Use an installed mi-tui: version, help, a check, a tiny study, a merge, the app.

    Args:
        programs: the folder of its ``mi-tui`` and ``python``.
        folder: where studies and checkpoints may be written.

    Returns:
        One line on what was tried.

    Raises:
        ReleaseError: something does not work.
    """
    begun = time.monotonic()
    program = str(programs / "mi-tui")
    environment = _own_environment(folder)

    def use(*arguments: str, ends_with: Sequence[int] = (0,)) -> str:
        done = subprocess.run(
            [program, *arguments],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode not in ends_with:
            said = (done.stderr or done.stdout).strip().splitlines()[-1:]
            raise ReleaseError(f"mi-tui {arguments[0]} ended with {done.returncode}: {said}")
        return done.stdout

    if _version() not in use("--version"):
        raise ReleaseError("mi-tui --version names another version")
    if "recommend" not in use("--help"):
        raise ReleaseError("mi-tui --help does not list the commands")
    use("check", "bundled:instruct", "bundled:thinking")
    preset = folder / "tiny.toml"
    preset.write_text(_PRESET, encoding="utf-8")
    use("run", str(preset), "--study", "study", ends_with=_ANSWERED)
    if "MI-1" not in use("table", "study"):
        raise ReleaseError("the study's table lacks λ = 1")
    pair = ("--instruct", "bundled:instruct", "--thinking", "bundled:thinking")
    use("merge", *pair, "--lambda", "0.5", "merged")
    digest = _sha256(folder / "merged" / "model.safetensors")[:12]
    _try_app(program, environment)
    ask = "import sys, torch; print(sys.version.split()[0], 'with torch', torch.__version__)"
    python = [str(programs / "python"), "-P", "-c", ask]
    versions = subprocess.run(python, env=environment, check=True, capture_output=True, text=True)
    kernel = any(programs.parent.glob("lib/python*/site-packages/mi_tui/checkpoints/kernels/*.so"))
    how = "compiled kernel" if kernel else "no kernel"
    seconds = time.monotonic() - begun
    return f"Python {versions.stdout.strip()}, {how}: merge {digest}, {seconds:.0f} s"


def _try_app(program: str, environment: Mapping[str, str]) -> None:
    """Open the app on a terminal, look at the studies, and leave it."""
    with Terminal((program,), environment=environment) as terminal:
        terminal.wait_for("Tiny|study", 60.0)
        terminal.press("ctrl+q")
        if status := terminal.wait_until_ended():
            raise ReleaseError(f"the app ended with {status}")


def _own_environment(folder: Path) -> dict[str, str]:
    """This environment, but with folders of its own and none of the checkout's code."""
    places = {f"XDG_{kind}_HOME": str(folder / kind) for kind in ("DATA", "CONFIG", "STATE")}
    return os.environ | places | {"MI_TUI_STUDIES": str(folder), "HF_HUB_OFFLINE": "1"}


def main() -> None:
    """Build, or try what was built."""
    os.environ.pop("PYTHONPATH", None)  # what is tried is what is installed
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dist", type=Path, default=PROJECT / "dist")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("build")
    trial = commands.add_parser("try")
    trial.add_argument("pythons", nargs="+")
    trial.add_argument("--constraints", type=Path, default=PROJECT / "constraints.txt")
    options = parser.parse_args()
    try:
        if options.command == "build":
            for file in build(options.dist):
                sys.stdout.write(f"{_sha256(file)}  {file.name}\n")
            return
        for wheel in sorted(options.dist.glob("*.whl")):
            for python in options.pythons:
                sys.stdout.write(f"{try_wheel(wheel, python, options.constraints)}\n")
                sys.stdout.flush()
    except ReleaseError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
