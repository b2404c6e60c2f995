"""The command line of this project, but a training ends after its first step."""

import os
from typing import Any

import scratchgan.gan
from scratchgan.cli import main

train = scratchgan.gan.train


def train_one_step(run: Any, images: Any, watch: Any) -> None:
    train(run, images, lambda step, metrics: os._exit(0))


scratchgan.gan.train = train_one_step  # the command finds it there
main()
