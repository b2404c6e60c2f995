"""Automatic differentiation. Read it in this order.

- ``tensor``: an array, its gradient, and the node that made it
- ``tape``: nodes, which are what a primitive leaves behind, and how a gradient goes back
- ``primitive``: a forward and its VJPs, and what calling them does
- ``elementwise``: primitives from arithmetic on one element
- ``backward``: from the last node to the first
- ``gradients``: the same for chosen tensors, which are returned
- ``modes``, ``hooks``: ``no_grad``; who may see gradients pass
- ``function``, ``calls``: operations whose forward and backward a user writes; their nodes
- ``functional``, ``derivatives``: Jacobians, Hessians, and their products with vectors
- ``observe``, ``anomaly``: who may see primitives run; where a nan first appears
- ``arguments``, ``source``: the ways to give arguments; the text of a node
"""

from scratchgan.autograd import functional
from scratchgan.autograd.anomaly import detect_anomaly
from scratchgan.autograd.backward import backward
from scratchgan.autograd.function import Function
from scratchgan.autograd.gradients import grad
from scratchgan.autograd.hooks import HookHandle, register_hook, retain_grad
from scratchgan.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from scratchgan.autograd.tape import TapeError
from scratchgan.missing import refuse_others

__all__ = [
    "Function",
    "HookHandle",
    "TapeError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "functional",
    "grad",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "register_hook",
    "retain_grad",
    "set_grad_enabled",
]

refuse_others(__name__)
