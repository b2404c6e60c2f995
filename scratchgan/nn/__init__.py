"""Modules: networks as objects that hold their parameters, under PyTorch's names.

:mod:`scratchgan.nn.functional` has the same computations as functions of tensors, and
:mod:`scratchgan.nn.init` the distributions that parameters start from.
"""

from scratchgan.nn import functional, init, utils
from scratchgan.nn.containers import ModuleList, Sequential
from scratchgan.nn.layers import (
    BatchNorm1d,
    Dropout,
    Embedding,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    ReLU,
    Sigmoid,
    Softplus,
    Tanh,
)
from scratchgan.nn.losses import BCELoss, BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from scratchgan.nn.module import Module, Parameter

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "MSELoss",
    "Module",
    "ModuleList",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "functional",
    "init",
    "utils",
]
