"""The inspector: a page on which one steps through a computation, forward, backward and update.

:mod:`recording` writes down what happens, :mod:`formulas` sets the rules as formulas,
:mod:`summary` says what is shown of an array, and :mod:`page` puts all of it into one file.
"""

from scratchgan.viz.inspector.page import inspect, write_page
from scratchgan.viz.inspector.recording import Recording, record

__all__ = ["Recording", "inspect", "record", "write_page"]
