"""Figures, drawn with Matplotlib, which is imported when the first is drawn."""

from scratchgan.viz.figures import MAX_GRID, in_16_greys, save_film, save_grid, save_losses

__all__ = ["MAX_GRID", "in_16_greys", "save_film", "save_grid", "save_losses"]
