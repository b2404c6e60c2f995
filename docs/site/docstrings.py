"""Docstrings for the reference: roles become links, and settings say what they are."""

import dataclasses
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


class Settings(griffe.Extension):
    """The fields of ``Config`` get defaults and help from calls; readers see what those give."""

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """The class, once it is loaded."""
        if cls.path != "scratchgan.gan.config.Config":
            return
        from scratchgan.gan import Config

        for field in dataclasses.fields(Config):
            help, expected = field.metadata["help"], field.metadata["expected"]
            attribute = cls.members[field.name]
            attribute.value = repr(field.default)
            cls.parameters[field.name].default = attribute.value
            attribute.docstring = griffe.Docstring(
                f"{help.rstrip('.')} ({expected}).", parent=attribute
            )


def _link(obj: griffe.Object, name: str) -> str:
    try:
        target = obj.resolve(name) if "." not in name or name[0].isupper() else name
    except griffe.NameResolutionError:
        target = name
    return (
        f'<autoref identifier="{target}" optional><code>{name.rpartition(".")[2]}</code></autoref>'
    )
