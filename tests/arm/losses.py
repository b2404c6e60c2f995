"""The losses of some steps of the GAN's training as their bits, which are the same everywhere.

Of sums that several elements are added up in at once the order differs with the width of vectors:
their last bits may, and only those; these losses are rounded to float32 from float64.
"""

import numpy as np

import scratchgan as sg
from scratchgan.gan import Config, Game

sg.manual_seed(0)
gan = Game(Config.from_recipe("seed"))
step = sg.jit(gan.step)
for _ in range(5):
    moves = step(sg.rand(64, 1, 28, 28) * 2 - 1, sg.randn(64, 100), sg.randn(64, 100))
    print(*[f"{np.float32(x.item()).view(np.uint32):08x}" for x in moves])
