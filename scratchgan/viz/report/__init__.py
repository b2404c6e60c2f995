"""Pages about trainings, each one file of HTML that needs no network: a report, a comparison."""

from scratchgan.viz.report.page import Contender, Story, save_comparison, save_report
from scratchgan.viz.report.weights import Dense, DrawingNetwork

__all__ = [
    "Contender",
    "Dense",
    "DrawingNetwork",
    "Story",
    "save_comparison",
    "save_report",
]
