"""Histories in which one promise is broken each, for the tests of the checker."""

from tests.chaos.breaks import answers, tasks
from tests.chaos.breaks.good import BREAKS, good

__all__ = ["BREAKS", "answers", "good", "tasks"]
