"""Threads that run the tasks of a step together."""
