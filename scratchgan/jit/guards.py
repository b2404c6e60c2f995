"""Guards: whether everything that a recording rests on is as it was."""

from collections.abc import Iterable
from itertools import chain, repeat
from operator import getitem, is_
from typing import Any

import numpy as np

from scratchgan.jit.places import ABSENT, Attributes, Place, attribute, content, lookup, size

#: Values that are the same if they are equal, and not only if they are the same object.
_VALUES = (int, float, complex, str, bytes, bool, np.generic, np.dtype)


class Guards:
    """Places, and what is expected there.

    They are compared before each replay, by identity and without a loop in Python. Only where
    something is another object than before, it is looked at more closely: a number may be as
    large, an attribute may be one that does not matter.
    """

    def __init__(self, places: Iterable[Place]) -> None:
        order = (getitem, lookup, attribute, size, content)
        self.places = sorted(places, key=lambda place: order.index(place.read))
        items, lookups, attributes, sizes, self._contents = (
            [place for place in self.places if place.read is read] for read in order
        )
        self._items = [x.holder for x in items], [x.key for x in items]
        self._lookups = [x.holder for x in lookups], [x.key for x in lookups]
        self._attributes = [x.holder for x in attributes], [x.key for x in attributes]
        self._sized = [x.holder for x in sizes]
        self._expected = [place.value for place in self.places]

    def hold(self) -> bool:
        """Whether a function that looked there again would find the same."""
        try:
            found = chain(
                map(getitem, *self._items),
                map(dict.get, *self._lookups, repeat(ABSENT)),
                map(getattr, *self._attributes, repeat(ABSENT)),
                map(len, self._sized),
            )
            if all(map(is_, found, self._expected)):
                return all(place.value == content(place.holder, None) for place in self._contents)
        except (LookupError, AttributeError, ValueError):
            return False
        now = [_read(place) for place in self.places]
        if any(map(_differs, self.places, now)):
            return False
        self._expected = now
        return True

    def changes(self) -> list[str]:
        """The places that are not as they were, in words."""
        return [
            _in_words(place, now)
            for place in self.places
            for now in (_read(place),)
            if _differs(place, now)
        ]


def _read(place: Place) -> Any:
    try:
        return place.read(place.holder, place.key)
    except (LookupError, AttributeError, ValueError):
        return ABSENT


def _differs(place: Place, now: Any) -> bool:
    if isinstance(place.key, Attributes):
        return any(True for _ in _new_attributes(place))
    if place.read is content:
        return bool(place.value != now)
    return not _is_same(place.value, now)


def _new_attributes(place: Place) -> list[str]:
    """The attributes that are new, and not about something else."""
    return [
        name
        for name, value in place.holder.items()
        if name not in place.key.present
        and name.isidentifier()
        and _matters(place.key, name, value)
    ]


def _matters(attributes: Attributes, name: str, value: Any) -> bool:
    if attributes.names is not None and name not in attributes.names:
        return False
    if attributes.are_listed:
        return True
    if hasattr(attributes.owner, name):  # it was the class's until now
        return not _is_same(getattr(attributes.owner, name), value)
    return attributes.are_listed or attributes.names is not None or not isinstance(value, _VALUES)


def _is_same(before: Any, now: Any) -> bool:
    if before is now:
        return True
    if type(before) is not type(now):
        return False
    if isinstance(before, tuple):
        return len(before) == len(now) and all(map(_is_same, before, now))
    # Zeros of either sign are equal, and not the same; nan is the same, and not equal.
    return isinstance(before, _VALUES) and repr(before) == repr(now)


def _in_words(place: Place, now: Any) -> str:
    if isinstance(place.key, Attributes):
        return f"{place.name} have become more: {', '.join(_new_attributes(place))}"
    if now is ABSENT:
        return f"{place.name} is gone"
    if place.read is content:
        return f"{place.name} has changed"
    if isinstance(now, _VALUES) and isinstance(place.value, _VALUES):
        return f"{place.name} was {place.value!r:.60}, and is {now!r:.60}"
    return f"{place.name} is another {type(now).__name__}"
