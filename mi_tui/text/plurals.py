"""The plural of nouns beside a number."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 file``, ``1,200 rollouts``.

    Args:
        number: a count.
        noun: in the singular; its plural takes an s.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
