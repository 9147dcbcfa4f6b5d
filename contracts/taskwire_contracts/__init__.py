"""What teams promise: their .proto files, loaded as task types without generated code."""

from taskwire_contracts.building import build
from taskwire_contracts.contracts import Contracts, TaskType
from taskwire_contracts.loading import load

__all__ = ["Contracts", "TaskType", "build", "load"]
