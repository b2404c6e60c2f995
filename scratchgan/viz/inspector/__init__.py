"""The inspector: a page on which one steps through a computation, forward, backward and update.

:mod:`recording` writes down what happens, :mod:`naming` says what things are called,
:mod:`formulas` sets the rules as formulas, :mod:`summary` says what is shown of an array, and
:mod:`page` puts all of it into one file. :mod:`text` shows the same in a terminal; :mod:`drawing`
makes a picture of it for a notebook, whose boxes :mod:`layers` places.
"""

from scratchgan.viz.inspector.page import inspect, write_page
from scratchgan.viz.inspector.recording import Recording, record
from scratchgan.viz.inspector.text import Graph, graph, trace_backward

__all__ = ["Graph", "Recording", "graph", "inspect", "record", "trace_backward", "write_page"]
