"""Optimizers and schedules of the learning rate, under PyTorch's names."""

from scratchgan.optim import lr_scheduler
from scratchgan.optim.algorithms import SGD, Adagrad, Adam, AdamW, RMSprop
from scratchgan.optim.optimizer import Optimizer

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
