"""The studies of older schemas that the tests open, run with the code of their time.

Each is a tiny study of the bundled pair, run by the last commit that wrote its schema. Run in a
clone with the whole history: ``python scripts/old_studies.py 3`` writes that of schema 3.
"""

import argparse
import gzip
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

COMMITS = {
    1: "40ce178eb2c442abf8cc90158f4543bfbba63fec",
    2: "8c01d35773e9682866ec315d155866bc03fcdc5f",
    3: "86a5d2a2738fbef4c7580b06ffaa644bff10eaf9",
    4: "6f7270d184fab827bc05e228886c798339f84fda",
    5: "ea9685891641d46884213da6d7254f4b7a2179cd",
}
"""The last commit that wrote each schema."""

FOLDER = Path(__file__).parents[1] / "tests/study/storage/old_studies"

PRESET = """\
title = "Tiny"

[pair]
instruct = "bundled:instruct"
thinking = "bundled:thinking"

[[probes]]
kind = "arithmetic"
problems = 6
held_out = 0.34
max_new_tokens = 96

[budget]
objective = "score-within-tokens"
limit = 60

[search]
grid = [0.0, 0.6, 1.0]
samples = 1
refine = false

[engine]
threads = 1
"""

_UNDECIDED = 3
"""What ``mi-tui run`` ends with when so few rollouts cannot decide."""


def make(schema: int, target: Path) -> None:
    """Run the study of one schema and write its database, compressed.

    Raises:
        subprocess.CalledProcessError: the commit is not in this clone, or the study failed.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code, study = folder / "code", folder / "study"
        code.mkdir()
        archive = subprocess.run(
            ["git", "archive", COMMITS[schema]], check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "x", "-C", str(code)], input=archive, check=True)
        preset = folder / "tiny.toml"
        preset.write_text(PRESET, encoding="utf-8")
        command = [sys.executable, "-P", "-m", "mi_tui", "run", str(preset), "--study", str(study)]
        environment = {**os.environ, "PYTHONPATH": str(code)}
        done = subprocess.run(command, cwd=code, env=environment, check=False)
        if done.returncode not in (0, _UNDECIDED):
            raise subprocess.CalledProcessError(done.returncode, command)
        database = study / "study.db"
        connection = sqlite3.connect(database)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        target.write_bytes(gzip.compress(database.read_bytes(), 9, mtime=0))


def main() -> None:
    """Write the studies whose schemas are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schemas", nargs="+", type=int, choices=sorted(COMMITS))
    for schema in parser.parse_args().schemas:
        make(schema, FOLDER / f"schema-{schema}.db.gz")


if __name__ == "__main__":
    main()
