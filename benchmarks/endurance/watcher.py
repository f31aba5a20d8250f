"""A watcher of a study: reads it and asks it budgets until it is told to end.

``python -m benchmarks.endurance.watcher STUDY SEED``; on SIGTERM it prints how often it has read,
the longest reading in seconds, and the one-line errors that it met. Ends with 1 where a reading
went back, or anything escaped that is not one line.
"""

import json
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from mi_tui.errors import MiTuiError
from mi_tui.plan.budget import parse_budget
from mi_tui.study.reader import StudyReader


class _EndedError(Exception):
    """Told to end."""


def _end(*_: object) -> None:
    raise _EndedError


def main() -> int:
    """Read until told to end."""
    signal.signal(signal.SIGTERM, _end)
    study, chosen = Path(sys.argv[1]), random.Random(sys.argv[2])
    readings, most, longest, errors = 0, 0, 0.0, Counter[str]()
    try:
        while True:
            begun = time.monotonic()
            try:
                with StudyReader(study) as reader:
                    for _ in range(20):
                        begun = time.monotonic()
                        count = reader.view().progress.rollouts
                        if count < most:
                            sys.stdout.write(f"rollouts went back from {most} to {count}\n")
                            return 1
                        most = count
                        reader.recommend(parse_budget(f"tokens<={chosen.randrange(20, 150)}"))
                        readings += 1
                        longest = max(longest, time.monotonic() - begun)
                        time.sleep(1.0)
            except MiTuiError as error:
                errors[str(error).replace(str(study), "STUDY")] += 1
                time.sleep(1.0)
    except _EndedError:
        found = {"readings": readings, "longest": longest, "most": most, "errors": errors}
        sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
