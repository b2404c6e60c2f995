"""Docstrings for the reference: the roles that they are written with become links."""

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:class|data|func|meth|mod|attr|exc):`~?([^`]+)`")


class Roles(griffe.Extension):
    """``:func:`name` `` leads to the name's place in the reference, if it has one."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """The docstring of each object, once it is loaded.

        Those of modules are for who reads the code: the pages have introductions of their own.
        """
        if obj.is_module:
            obj.docstring = None
        elif obj.docstring:
            value = obj.docstring.value
            obj.docstring.value = ROLE.sub(lambda role: _link(obj, role[1]), value)


def _link(obj: griffe.Object, name: str) -> str:
    try:
        target = obj.resolve(name) if "." not in name or name[0].isupper() else name
    except griffe.NameResolutionError:
        target = name
    return (
        f'<autoref identifier="{target}" optional><code>{name.rpartition(".")[2]}</code></autoref>'
    )
