"""The scope of a function: the places where it can find values, and what stands there.

A recording holds for as long as the function would find the same again. Where it looks is known
from its code: the variables of its closure and module, those of the functions that it mentions, the
elements of lists and dicts, and of each object the attributes whose names occur in any of that
code. So ``self.losses.append(...)`` beside the function does not concern it, and ``self.scale``
inside it does.
"""

import functools
import random
import sys
import weakref
from collections import UserList, deque
from collections.abc import Callable, ItemsView, Iterable, KeysView, Mapping, ValuesView
from contextvars import ContextVar
from operator import attrgetter, getitem, methodcaller
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodType,
    MethodWrapperType,
    ModuleType,
)
from typing import Any

import numpy as np

from scratchgan.autograd.function import Function
from scratchgan.autograd.tensor import Tensor
from scratchgan.backend import kernels_for
from scratchgan.jit.names import (
    NOT_CALLED,
    computed_names,
    functions_of,
    is_below,
    is_installed,
    is_own,
    is_users,
    mangled,
    names_in,
    names_of_self,
)
from scratchgan.jit.places import (
    COMPARED,
    LARGEST_CONTENT,
    Attributes,
    Place,
    attribute,
    content,
    is_filled,
    lookup,
    size,
)
from scratchgan.random import Generator, default_generator


class Scope:
    """The places that can be reached from ``roots``, which are values by their names.

    Attributes:
        places: Where the function looks.
        tensors: The tensors that it can reach, by their ids, with their names.
        arrays: The arrays that it can reach without a tensor, with their names.
        mentioned: The names of attributes in the code that is not this package's.
        keys: The texts in that code, which may be keys of dicts.
        found_again: The ids of objects to which more than one way leads.
    """

    def __init__(self, roots: Iterable[tuple[str, Any]]) -> None:
        roots = [*roots, ("the default stream of random numbers", default_generator)]
        names: frozenset[str] = frozenset()
        self._shared: set[int] = set()
        self._asks = False  # whether code asks whether there are attributes
        while True:
            self._names = names
            self._found: set[str] = set(names)
            self.mentioned: set[str] = set()
            self.keys: set[str] = set()
            self.found_again: set[int] = set()
            self._seen: dict[int, Any] = {}
            self._looked: set[tuple[int, Any]] = set()
            self._classes: set[tuple[type, bool]] = set()
            self._class_attributes: dict[type, Any] = {}
            self._only: dict[int, frozenset[str] | None] = {}  # names that a method's object has
            self._inner: set[int] = set()  # attributes of objects of other packages
            self._waiting = deque(roots)
            self.places: list[Place] = []
            self.tensors: dict[int, tuple[str, Tensor]] = {}
            self.arrays: list[tuple[str, Any]] = []
            self._last: list[tuple[str, Any]] = []  # what has a better name elsewhere
            while self._waiting or self._last:
                name, value = self._waiting.popleft() if self._waiting else self._last.pop()
                if id(value) not in self._seen:
                    self._seen[id(value)] = value
                    self._enter(name, value)
                    continue
                self.found_again.add(id(value))
                if self._only.get(id(value)) is not None:
                    self._shared.add(id(value))  # other code has it too
                    self._found.add(_AGAIN)
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
            if vars(value) or self._asks:
                self._enter_attributes(name, value, vars(value))
            if is_users(type(value).__module__):
                self._enter_class(type(value), is_called=False)
        elif isinstance(value, FunctionType):
            self._enter_function(name, value)
            if is_users(value.__globals__.get("__name__")) or vars(value):
                self._enter_attributes(name, value, vars(value))
        elif isinstance(value, BuiltinFunctionType | MethodWrapperType):  # losses.append
            self._waiting.append((name, value.__self__))
        elif isinstance(value, MethodType):
            method, owner = value.__func__, value.__self__
            self._found.add(method.__name__)
            self._waiting.append((name, method))
            if id(owner) in self._seen:
                self._waiting.append(("self", owner))
            else:  # entered here, so that who comes to it later is other code
                self._seen[id(owner)] = owner
                self._only[id(owner)] = names_of_self(type(owner), method)
                self._enter("self", owner)
        elif isinstance(value, functools.partial):
            self._waiting += [(name, x) for x in (value.func, *value.args, value.keywords)]
        elif isinstance(value, ModuleType):
            if is_users(value.__name__):
                # One that is not there may come, if it has a __getattr__ or not.
                for key in self._names:
                    if key in vars(value) or "__getattr__" in vars(value):
                        self._look(f"{name}.{key}", attribute, value, key)
                self._attributes(name, vars(value), type(value), self._names, is_strict=True)
        elif isinstance(value, type):
            self._enter_class(value, is_called=True)
        elif isinstance(value, Generator):
            self.places.append(Place(f"{name}.state", getitem, vars(value), "state", value.state))
            self.arrays.append((name, value.state))
        elif isinstance(value, np.ndarray) or type(value) in kernels_for:
            self.arrays.append((name, value))
            if isinstance(value, np.ndarray) and value.dtype.hasobject:
                self._waiting += [(name, x) for x in value.flat]
            if isinstance(value, np.ndarray) and value.nbytes <= LARGEST_CONTENT:
                self._compare(name, value)
        elif isinstance(value, attrgetter | methodcaller):
            texts = [x for x in value.__reduce__()[1] if isinstance(x, str)]
            self._found.update(part for text in texts for part in text.split("."))
        elif isinstance(value, COMPARED) and not isinstance(value, random.SystemRandom):
            self._compare(name, value)
            if isinstance(value, functools._lru_cache_wrapper):
                self._waiting.append((name, value.__wrapped__))
            if isinstance(value, set):
                self._waiting += [(name, x) for x in value]
            elif isinstance(value, ContextVar | weakref.ref):
                self._waiting.append(
                    (name, value() if isinstance(value, weakref.ref) else value.get(None))
                )
        else:
            self._enter_elements(name, value)
            self._enter_object(name, value)

    def _enter_elements(self, name: str, value: Any) -> None:
        if isinstance(value, Mapping):
            self._size(name, value)
            for key in list(value):
                label = f"tensor {key.shape}" if isinstance(key, Tensor) else f"{key!r:.40}"
                self._last.append((f"a key of {name}", key))
                self._look(f"{name}[{label}]", getitem, value, key)
        elif isinstance(value, list | deque | UserList):
            self._size(name, value)
            for position in range(len(value)):
                self._look(f"{name}[{position}]", getitem, value, position)
        elif isinstance(value, tuple | frozenset):
            self._waiting += [(f"{name}[{i}]", x) for i, x in enumerate(value)]
        elif isinstance(value, ValuesView | KeysView | ItemsView):
            self._waiting.append((name, getattr(value, "mapping", None)))

    def _size(self, name: str, container: Any) -> None:
        self.places.append(Place(f"len({name})", size, container, None, len(container)))

    def _compare(self, name: str, value: Any) -> None:
        place = Place(f"what is in {name}", content, value, None, content(value, None))
        self.places.append(place)

    def _enter_function(self, name: str, function: FunctionType) -> None:
        module = function.__globals__.get("__name__")  # wraps() gives it another's __module__
        if is_below(module):
            return
        variables, attributes, texts = names_in(function.__code__)
        self._found |= attributes
        for key, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            if is_filled(cell):
                self._look(key, attribute, cell, "cell_contents")
            else:
                self._compare(key, cell)
        if not is_users(module):
            return
        self.mentioned |= attributes
        self.keys |= texts
        if variables & {"getattr", "hasattr", "vars", "setattr"} and not self._asks:
            self._asks = True
            self._found.add(_AGAIN)  # what was passed over is to be looked at
        for key in ("__code__", "__defaults__", "__kwdefaults__"):
            self._look(f"{name}.{key}", attribute, function, key)
        if "globals" in variables:
            variables |= attributes & function.__globals__.keys()
        for key in variables:
            self._look(key, lookup, function.__globals__, key)
            imported = sys.modules.get(key)
            if imported is not None and key not in function.__globals__:
                self._waiting.append((key, imported))

    def _enter_class(self, owner: type, is_called: bool) -> None:
        """Look at the methods that may be called; ``is_called`` says whether objects are made."""
        for cls in owner.__mro__:
            if (cls, is_called) in self._classes:
                continue
            self._classes.add((cls, is_called))
            if is_below(cls.__module__) or not (is_users(cls.__module__) or is_own(cls.__module__)):
                continue
            attributes = self._class_attributes.setdefault(cls, vars(cls))
            # They name all fields, and only refuse: one may not write them oneself.
            refusals = ("__setattr__", "__delattr__") if _is_frozen_dataclass(cls) else ()
            for key, value in list(attributes.items()):
                is_special = key.startswith("__") and (is_called or key not in _OF_MAKING)
                is_special = is_special and key not in NOT_CALLED
                is_special = is_special and (is_users(cls.__module__) or key not in _OF_OWN)
                # A Function's apply calls these, and that is no code that is looked at.
                is_special |= key in _OF_FUNCTIONS and issubclass(owner, Function)
                if key in refusals or (key not in self._names and not is_special):
                    continue
                name = f"{cls.__name__}.{key}"
                self._waiting += [(name, x) for x in functions_of(value)]
                is_descriptor = hasattr(value, "__get__") and not isinstance(value, FunctionType)
                if is_users(type(value).__module__) and is_descriptor:
                    self._waiting.append((name, value))
                is_looked_at = key in self._names or (is_users(cls.__module__) and callable(value))
                if is_looked_at and (id(attributes), key) not in self._looked:
                    self._looked.add((id(attributes), key))
                    if not is_descriptor:
                        self._waiting.append((name, value))
                    self.places.append(Place(name, getitem, attributes, key, value))
            if (id(attributes), None) not in self._looked:
                self._looked.add((id(attributes), None))
                self._attributes(cls.__name__, attributes, type(cls), None, is_strict=True)
            if is_users(type(cls).__module__):
                self._enter_class(type(cls), is_called=False)

    def _enter_object(self, name: str, value: Any) -> None:
        cls = type(value)
        self._enter_class(cls, is_called=False)
        if is_users(cls.__module__):
            self.places.append(Place(f"the class of {name}", attribute, value, "__class__", cls))
        for base in cls.__mro__:
            slots = vars(base).get("__slots__", ())
            slots = (slots,) if isinstance(slots, str) else slots
            for key in self._names.intersection(mangled(slot, base) for slot in slots):
                self._look(f"{name}.{key}", attribute, value, key)
        self._enter_attributes(name, value, getattr(value, "__dict__", None))

    def _enter_attributes(self, name: str, value: Any, attributes: Any) -> None:
        cls = type(value)
        if not isinstance(attributes, dict):
            return
        wrapped = attributes.get("__wrapped__")  # of a jitted function, one with a cache, ...
        if wrapped is not None:
            self._waiting.append((name, wrapped))
        if is_below(cls.__module__) and not isinstance(value, Tensor):  # a Jitted itself
            return
        computes, lists = computed_names(cls, self._names)
        # The code of other packages is not looked at: of their objects all attributes count.
        is_foreign = is_installed(cls.__module__)
        names = None if computes or (is_foreign and id(value) not in self._inner) else self._names
        only = self._only.get(id(value))
        if names is not None and only is not None and id(value) not in self._shared:
            names &= only
        if is_foreign:
            self._inner.update(map(id, attributes.values()))
        present = self._attributes(name, attributes, cls, names, lists)
        for key in [key for key in attributes if key in present]:
            # A module in a list of modules is called as one reaches it: model[0].
            self._look(name if key == "_modules" else f"{name}.{key}", getitem, attributes, key)

    def _attributes(
        self,
        name: str,
        attributes: Any,
        cls: type,
        names: frozenset[str] | None,
        is_strict: bool,
    ) -> frozenset[str]:
        """Look whether attributes that matter are added, and give those that are there."""
        present = frozenset(
            key for key in attributes if key.isidentifier() and (names is None or key in names)
        )
        facts = Attributes(cls, names, present, is_strict)
        place = Place(f"the attributes of {name}", size, attributes, facts, len(attributes))
        self.places.append(place)
        return present


#: Methods that Python calls where an object is made, and nowhere else.
_OF_MAKING = {"__init__", "__new__", "__post_init__"}
#: Methods of this package's classes that compute nothing.
_OF_OWN = {"__init__", "__repr__", "__setattr__"}
#: Methods of a Function that its ``apply`` and the backward pass call.
_OF_FUNCTIONS = {"forward", "setup_context", "backward"}
#: No name: it has the scope be looked through once more.
_AGAIN = "?"


def _is_frozen_dataclass(cls: type) -> bool:
    return getattr(vars(cls).get("__dataclass_params__"), "frozen", False)
