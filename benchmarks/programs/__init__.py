"""Whole programs whose processes are measured."""
