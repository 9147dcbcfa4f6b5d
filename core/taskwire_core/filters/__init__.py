"""The filter language of lists, counts and watches: text to terms, and terms to an answer.

A subset of AIP-160, described in docs/filters.md. `parse` reads it, `matches` decides for one
task, `taskwire_db.filters` says the same in SQL, and a property test compares the two.
"""

from taskwire_core.filters.matching import Cohort, decide, matches
from taskwire_core.filters.parsing import MAX_LENGTH, MAX_NESTING, MAX_TERMS, parse
from taskwire_core.filters.terms import (
    EVERYTHING,
    And,
    Field,
    Filter,
    Not,
    Operator,
    Or,
    Term,
    conjuncts,
)

__all__ = [
    "EVERYTHING",
    "MAX_LENGTH",
    "MAX_NESTING",
    "MAX_TERMS",
    "And",
    "Cohort",
    "Field",
    "Filter",
    "Not",
    "Operator",
    "Or",
    "Term",
    "conjuncts",
    "decide",
    "matches",
    "parse",
]
