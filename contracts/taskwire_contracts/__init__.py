"""What teams promise: their .proto files, loaded as task types without generated code."""

from taskwire_contracts.building import build
from taskwire_contracts.contracts import Contracts, TaskType
from taskwire_contracts.loading import load
from taskwire_contracts.rule_check import check_rules

__all__ = ["Contracts", "TaskType", "build", "check_rules", "load"]
