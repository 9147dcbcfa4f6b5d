"""Measurements: taskwire beside other ways to run tasks, in alternation on one machine."""
