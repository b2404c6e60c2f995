"""The playground: a page on which a GAN on points of the plane trains, in the browser.

:mod:`javascript` prints the rules of the page from the table of primitives, and :mod:`page` puts
all of it into one file. Read of that ``tape.js`` first, then ``game.js``; ``drawing.js`` and
``page.js`` are what one sees and presses.
"""

from scratchgan.viz.playground.page import Player, Settings, write_playground

__all__ = ["Player", "Settings", "write_playground"]
