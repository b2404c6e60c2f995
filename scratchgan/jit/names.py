"""The names that code mentions, and whose code it is."""

import dis
import functools
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from types import CodeType, FunctionType
from typing import Any, NamedTuple

#: Methods that the code of a function does not call by doing something with an object.
NOT_CALLED = {
    *("__del__", "__reduce__", "__reduce_ex__", "__init_subclass__", "__set_name__"),
    *("__class_getitem__", "__getstate__", "__setstate__", "__copy__", "__deepcopy__"),
    *("__dir__", "__sizeof__"),
}

_PACKAGE = __name__.partition(".")[0]
#: The rooms of this package whose own state is no user's.
_BELOW = {
    *("autograd", "backend", "creation", "cuda", "dtypes", "files", "functions", "in_place"),
    *("interchange", "jit", "ops", "random", "threads"),
}
#: The room that uses jit as a user does.
_LIKE_A_USER = "gan"


def is_below(module: Any) -> bool:
    """Whether a module, by its name, belongs to what computes, whose code is not looked at."""
    package, *rooms = _parts(module)
    return package == _PACKAGE and (not rooms or rooms[0] in _BELOW)


def is_own(module: Any) -> bool:
    """Whether a module belongs to this package."""
    return _parts(module)[0] == _PACKAGE


def is_users(module: Any) -> bool:
    """Whether a module is neither of this package, nor of Python, nor installed beside it."""
    package, *rooms = _parts(module)
    if package == _PACKAGE:
        return rooms[:1] == [_LIKE_A_USER]
    return package not in sys.stdlib_module_names and not is_installed(module)


@functools.cache
def is_installed(module: Any) -> bool:
    """Whether a module is of another package that is installed beside this one."""
    package = _parts(module)[0]
    if package == _PACKAGE or package in sys.stdlib_module_names:
        return False
    path = getattr(sys.modules.get(package), "__file__", None) or ""
    paths = sysconfig.get_paths()
    return path.startswith((paths["purelib"], paths["platlib"]))


def _parts(module: Any) -> list[str]:
    return module.split(".") if isinstance(module, str) else [""]


class Names(NamedTuple):
    """The names that occur in code.

    Attributes:
        variables: Of the module.
        attributes: Of objects, and all texts: names may be asked for so, ``getattr(x, "scale")``.
        texts: Those that are written as text, and may be keys of a dict.
    """

    variables: frozenset[str]
    attributes: frozenset[str]
    texts: frozenset[str]


@functools.cache
def names_in(code: CodeType) -> Names:
    """The names that occur in ``code``."""
    variables: set[str] = set()
    attributes: set[str] = set()
    texts: set[str] = set()
    for part in _codes(code):
        for instruction in dis.get_instructions(part):
            if isinstance(instruction.argval, str) and instruction.argval in part.co_names:
                is_variable = "GLOBAL" in instruction.opname or "_NAME" in instruction.opname
                (variables if is_variable else attributes).add(instruction.argval)
        texts.update(_texts(part.co_consts))
    return Names(frozenset(variables), frozenset(attributes | texts), frozenset(texts))


def names_of_self(cls: type, method: Any) -> frozenset[str] | None:
    """The attributes that a method and those that it calls ask its object for.

    So ``self.optimizer.step()`` says nothing of a ``self.step``. None where the object goes
    anywhere else than in front of a dot, as where it is passed on.
    """
    found: set[str] = set()
    waiting = [method]
    while waiting:
        names = _names_of_first(getattr(waiting.pop(), "__code__", None))
        if names is None:
            return None
        for name in names - found:
            inherited = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
            waiting += [x for value in inherited[:1] for x in functions_of(value)]
        found |= names
    return frozenset(found)


def _names_of_first(code: CodeType | None) -> set[str] | None:
    if code is None or not code.co_argcount or "super" in code.co_names:
        return None
    first = code.co_varnames[0]
    if first in code.co_cellvars:
        return None
    names = set()
    instructions = list(dis.get_instructions(code))
    for one, after in zip(instructions, [*instructions[1:], None], strict=True):
        if one.opname == "LOAD_FAST" and one.argval == first:
            if after is None or after.opname not in ("LOAD_ATTR", "LOAD_METHOD", "STORE_ATTR"):
                return None
            names.add(after.argval)
            continue
        is_other = one.opname in ("LOAD_CONST", "LOAD_GLOBAL", "LOAD_ATTR", "LOAD_METHOD")
        if not is_other and first in (one.argval if type(one.argval) is tuple else (one.argval,)):
            return None
    return names


def _texts(constants: Iterable[Any]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str) and constant.isidentifier():
            yield constant
        elif isinstance(constant, tuple | frozenset):
            yield from _texts(constant)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def mangled(name: str, cls: type) -> str:
    """A name as it occurs in the code of methods: a private one begins with the class's."""
    is_private = name.startswith("__") and not name.endswith("__")
    return f"_{cls.__name__.lstrip('_')}{name}" if is_private else name


def functions_of(attribute: Any) -> list[Any]:
    """The functions behind an attribute of a class."""
    if isinstance(attribute, staticmethod | classmethod):
        return [attribute.__func__]
    if isinstance(attribute, property):
        return [x for x in (attribute.fget, attribute.fset) if x is not None]
    if isinstance(attribute, functools.cached_property):
        return [attribute.func]
    attributes = getattr(attribute, "__dict__", {})
    found = [attributes.get(key) for key in ("__wrapped__", "func", "dispatcher")]
    if is_users(type(attribute).__module__):
        found.append(vars(type(attribute)).get("__get__"))
    return [x for x in (*found, attribute) if callable(x)]


def computed_names(cls: type, names: frozenset[str]) -> tuple[bool, bool]:
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
            if key not in names and not (key.startswith("__") and key not in NOT_CALLED):
                continue
            for function in functions_of(attribute):
                if isinstance(function, FunctionType):
                    variables, attributes, _ = names_in(function.__code__)
                    enumerates = bool(variables & {"vars", "dir"}) or "__dict__" in attributes
                    computes |= enumerates or "getattr" in variables
                    lists |= enumerates and is_users(base.__module__)
    return computes, lists
