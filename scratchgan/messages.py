"""Text from files as messages of errors show it: one line that can be printed.

A file that somebody hands over may hold names of a million letters, numbers that take minutes to
write down, and codes that make a terminal do things.
"""

import os
import shlex


def one_line(text: object, most: int = 300) -> str:
    """``text`` in one line of up to ``most`` letters, in which nothing is invisible."""
    words = " ".join(str(text).split())
    cut = words if len(words) <= most else f"{words[: most - 3]}..."
    return "".join(x if x.isprintable() else ascii(x)[1:-1] for x in cut)


def shown(value: object, most: int = 300) -> str:
    """``repr(value)``, of which a value that is huge or deep shows its type alone."""
    try:
        return one_line(repr(value), most)
    except (ValueError, RecursionError):  # an integer of too many digits, lists in lists
        return f"a huge {type(value).__name__}"


def argument(path: str | os.PathLike[str]) -> str:
    """A path as one writes it after a command, in a shell."""
    text = os.fspath(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)
