"""Handlers that run in a process of their own, one task at a time, and can be killed."""

from taskwire_worker.isolation.pool import IsolationPool
from taskwire_worker.isolation.wire import ChildSetup

__all__ = ["ChildSetup", "IsolationPool"]
