"""Optimizers and schedules of the learning rate, under PyTorch's names."""

from scratchgan.missing import refuse_others
from scratchgan.optim import lr_scheduler
from scratchgan.optim.adagrad import Adagrad
from scratchgan.optim.adam import Adam, AdamW
from scratchgan.optim.optimizer import Optimizer
from scratchgan.optim.rmsprop import RMSprop
from scratchgan.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]

refuse_others(__name__)
