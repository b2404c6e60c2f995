"""Automatic differentiation: tensors, the tape, primitives and the backward pass."""

from scratchgan.autograd.backward import (
    HookHandle,
    TapeError,
    backward,
    detect_anomaly,
    enable_grad,
    grad,
    is_grad_enabled,
    no_grad,
    register_hook,
    retain_grad,
    set_grad_enabled,
)

__all__ = [
    "HookHandle",
    "TapeError",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "is_grad_enabled",
    "no_grad",
    "register_hook",
    "retain_grad",
    "set_grad_enabled",
]
