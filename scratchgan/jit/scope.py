"""The scope of a function: the places where it can find values, and what stands there.

A recording holds for as long as the function would find the same again. Where it looks is known
from its code: the variables of its closure and module, those of the functions that it mentions, the
elements of lists and dicts, and of each object the attributes whose names occur in any of that
code. So ``self.losses.append(...)`` beside the function does not concern it, and ``self.scale``
inside it does.
"""

import dis
import functools
import random
import sys
import sysconfig
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from operator import getitem
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np

from scratchgan.autograd.tensor import Tensor
from scratchgan.random import Generator, default_generator


class Place(NamedTuple):
    """A place where a function looks, and what stood there.

    Attributes:
        name: As the function would write it: ``"model.layers[0].weight"``.
        read: ``getitem``, ``getattr``, :func:`size` or :func:`content`, called with ``holder`` and
            ``key``.
        holder: A dict, list, cell, class or object.
        key: An index, or the name of an attribute; for ``size`` of an object's attributes, the
            names that matter.
        value: What was found.
    """

    name: str
    read: Callable[[Any, Any], Any]
    holder: Any
    key: Any
    value: Any


class Attributes(NamedTuple):
    """The attributes of an object that matter.

    Attributes:
        owner: The object's class.
        names: The names that are mentioned; None if names are computed.
        present: The attributes that were there.
        are_listed: Whether the function may go through all of them.
    """

    owner: type
    names: frozenset[str] | None
    present: frozenset[str]
    are_listed: bool


def size(holder: Any, _: object) -> int:
    """How many elements there are."""
    return len(holder)


#: Larger arrays of NumPy's, in bytes, are not compared.
LARGEST_CONTENT = 1 << 16


def content(holder: Any, _: object) -> Any:
    """What a function may read of an object in other ways than as an element or attribute."""
    if isinstance(holder, np.ndarray):
        return holder.tobytes()
    if isinstance(holder, np.random.Generator):
        return repr(holder.bit_generator.state)
    if isinstance(holder, random.Random):
        return holder.getstate()
    return frozenset(holder)


class Scope:
    """The places that can be reached from ``roots``, which are values by their names.

    Attributes:
        places: Where the function looks.
        tensors: The tensors that it can reach, by their ids, with their names.
        arrays: The arrays that it can reach without a tensor, with their names.
        mentioned: The names of attributes in the code that is not this package's.
    """

    def __init__(self, roots: Iterable[tuple[str, Any]]) -> None:
        roots = [*roots, ("the default stream of random numbers", default_generator)]
        names: frozenset[str] = frozenset()
        while True:
            self._names = names
            self._found: set[str] = set(names)
            self.mentioned: set[str] = set()
            self._seen: dict[int, Any] = {}
            self._looked: set[tuple[int, Any]] = set()
            self._waiting = deque(roots)
            self.places: list[Place] = []
            self.tensors: dict[int, tuple[str, Tensor]] = {}
            self.arrays: list[tuple[str, Any]] = []
            while self._waiting:
                name, value = self._waiting.popleft()
                if id(value) not in self._seen:
                    self._seen[id(value)] = value
                    self._enter(name, value)
            if self._found == names:  # else attributes may have been passed over
                break
            names = frozenset(self._found)

    def reaches(self, value: Any) -> bool:
        """Whether the function can find this very object."""
        return self._seen.get(id(value)) is value

    def _look(self, name: str, read: Callable[[Any, Any], Any], holder: Any, key: Any) -> None:
        if (id(holder), key) in self._looked:
            return
        self._looked.add((id(holder), key))
        value = read(holder, key)
        self.places.append(Place(name, read, holder, key, value))
        self._waiting.append((name, value))

    def _enter(self, name: str, value: Any) -> None:
        if value is None or isinstance(value, int | float | complex | str | bytes | np.generic):
            return
        if isinstance(value, Tensor):
            self.tensors[id(value)] = name, value
            self._waiting.append((f"{name}.hooks", value.hooks))
        elif isinstance(value, FunctionType):
            self._enter_function(name, value)
        elif isinstance(value, MethodType):
            self._waiting.append(("self", value.__self__))
            self._waiting.append((name, value.__func__))
        elif isinstance(value, functools.partial):
            self._waiting.append((name, value.func))
            self._waiting += [(name, x) for x in (*value.args, *value.keywords.values())]
        elif isinstance(value, ModuleType):
            if is_users(value.__name__):
                for key in self._names & vars(value).keys():
                    self._look(f"{name}.{key}", getitem, vars(value), key)
        elif isinstance(value, type):
            self._enter_class(name, value)
        elif isinstance(value, dict):
            self._size(name, value)
            for key in list(value):
                label = f"tensor {key.shape}" if isinstance(key, Tensor) else f"{key!r:.40}"
                self._look(f"{name}[{label}]", getitem, value, key)
        elif isinstance(value, list | deque):
            self._size(name, value)
            for position in range(len(value)):
                self._look(f"{name}[{position}]", getitem, value, position)
        elif isinstance(value, tuple | frozenset):
            self._waiting += [(f"{name}[{i}]", x) for i, x in enumerate(value)]
        elif isinstance(value, set):
            self._compare(name, value)
            self._waiting += [(name, x) for x in value]
        elif isinstance(value, np.random.Generator | random.Random):
            self._compare(name, value)
        elif isinstance(value, Generator):
            self._look(f"{name}.state", getitem, vars(value), "state")
        elif hasattr(value, "__array_interface__") or hasattr(value, "__cuda_array_interface__"):
            self.arrays.append((name, value))
            if isinstance(value, np.ndarray) and value.nbytes <= LARGEST_CONTENT:
                self._compare(name, value)
        else:
            self._enter_object(name, value)

    def _size(self, name: str, container: Any) -> None:
        self.places.append(Place(f"len({name})", size, container, None, len(container)))

    def _compare(self, name: str, value: Any) -> None:
        place = Place(f"what is in {name}", content, value, None, content(value, None))
        self.places.append(place)

    def _enter_function(self, name: str, function: FunctionType) -> None:
        if is_below(function.__module__):
            return
        variables, attributes = names_in(function.__code__)
        self._found |= attributes
        if is_users(function.__module__):
            self.mentioned |= attributes
        for key, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            if _is_filled(cell):
                self._look(key, getattr, cell, "cell_contents")
        defaults = (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values())
        self._waiting += [(f"a default of {name}", x) for x in defaults]
        if is_users(function.__module__):
            for key in variables & function.__globals__.keys():
                self._look(key, getitem, function.__globals__, key)

    def _enter_class(self, name: str, owner: type) -> None:
        for cls in owner.__mro__:
            if is_below(cls.__module__) or not (is_users(cls.__module__) or is_own(cls.__module__)):
                continue
            for key, attribute in vars(cls).items():
                is_called = key.startswith("__") and key not in _NOT_CALLED
                if key not in self._names and not is_called:
                    continue
                for function in _functions_of(attribute):
                    self._waiting.append((f"{cls.__name__}.{key}", function))
                if key in self._names and not isinstance(attribute, classmethod):
                    self._look(f"{cls.__name__}.{key}", getattr, cls, key)

    def _enter_object(self, name: str, value: Any) -> None:
        cls = type(value)
        attributes = getattr(value, "__dict__", None)
        if (
            isinstance(attributes, dict) and "__wrapped__" in attributes
        ):  # a jitted function, one with a cache, ...
            self._waiting.append((name, attributes["__wrapped__"]))
            return
        self._waiting.append((cls.__name__, cls))
        for base in cls.__mro__:
            slots = vars(base).get("__slots__", ())
            for key in self._names.intersection((slots,) if isinstance(slots, str) else slots):
                if hasattr(value, key):
                    self._look(f"{name}.{key}", getattr, value, key)
        if not isinstance(attributes, dict):
            return
        computes, lists = _computed_names(cls, self._names)
        names = None if computes else self._names
        present = frozenset(
            key for key in attributes if key.isidentifier() and (names is None or key in names)
        )
        self.places.append(
            Place(
                f"the attributes of {name}",
                size,
                attributes,
                Attributes(cls, names, present, lists),
                len(attributes),
            )
        )
        for key in [key for key in attributes if key in present]:
            # A module in a list of modules is called as one reaches it: model[0].
            self._look(name if key == "_modules" else f"{name}.{key}", getitem, attributes, key)


#: Methods that Python calls for other things than what the code of a function says.
_NOT_CALLED = {
    *("__init__", "__new__", "__del__", "__repr__", "__str__", "__reduce__", "__reduce_ex__"),
    *("__setattr__", "__delattr__", "__init_subclass__", "__set_name__", "__class_getitem__"),
    *("__getstate__", "__setstate__", "__copy__", "__deepcopy__", "__dir__", "__sizeof__"),
}

_PACKAGE = __name__.partition(".")[0]
#: The rooms of this package whose own state is no user's.
_BELOW = {
    *("autograd", "backend", "creation", "cuda", "dtypes", "files", "functions", "in_place"),
    *("interchange", "jit", "ops", "random", "threads"),
}
#: The room that uses jit as a user does.
_LIKE_A_USER = "gan"


@functools.cache
def is_below(module: str | None) -> bool:
    """Whether a module belongs to what computes, whose code is not looked at."""
    package, *rooms = (module or "").split(".")
    return package == _PACKAGE and (not rooms or rooms[0] in _BELOW)


@functools.cache
def is_own(module: str | None) -> bool:
    """Whether a module belongs to this package."""
    return (module or "").partition(".")[0] == _PACKAGE


@functools.cache
def is_users(module: str | None) -> bool:
    """Whether a module is neither of this package, nor of Python, nor installed beside it."""
    package, *rooms = (module or "").split(".")
    if package == _PACKAGE:
        return rooms[:1] == [_LIKE_A_USER]
    if package in sys.stdlib_module_names and package != "__main__":
        return False
    path = getattr(sys.modules.get(package), "__file__", None) or ""
    paths = sysconfig.get_paths()
    return not path.startswith((paths["purelib"], paths["platlib"], paths["stdlib"]))


@functools.cache
def names_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The names of variables of the module, and of attributes, that occur in ``code``."""
    variables: set[str] = set()
    attributes: set[str] = set()
    for part in _codes(code):
        for instruction in dis.get_instructions(part):
            if instruction.argval in part.co_names:
                is_variable = "GLOBAL" in instruction.opname or "_NAME" in instruction.opname
                (variables if is_variable else attributes).add(instruction.argval)
    return frozenset(variables), frozenset(attributes)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _functions_of(attribute: Any) -> list[Any]:
    """The functions behind an attribute of a class."""
    if isinstance(attribute, staticmethod | classmethod):
        return [attribute.__func__]
    if isinstance(attribute, property):
        return [x for x in (attribute.fget, attribute.fset) if x is not None]
    if isinstance(attribute, functools.cached_property):
        return [attribute.func]
    return [getattr(attribute, "__wrapped__", attribute)] if callable(attribute) else []


def _computed_names(cls: type, names: frozenset[str]) -> tuple[bool, bool]:
    """Whether methods of ``cls`` compute names of attributes; whether a user's list all of them.

    Args:
        cls: A class.
        names: The names that are mentioned anywhere, and so may be called.
    """
    computes = lists = False
    for base in cls.__mro__:
        if is_below(base.__module__) or not (is_users(base.__module__) or is_own(base.__module__)):
            continue
        for key, attribute in vars(base).items():
            if key not in names and not (key.startswith("__") and key not in _NOT_CALLED):
                continue
            for function in _functions_of(attribute):
                if isinstance(function, FunctionType):
                    variables, attributes = names_in(function.__code__)
                    enumerates = bool(variables & {"vars", "dir"}) or "__dict__" in attributes
                    computes |= enumerates or "getattr" in variables
                    lists |= enumerates and is_users(base.__module__)
    return computes, lists
