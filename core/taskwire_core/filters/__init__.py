"""The filter language of lists, counts and watches: text to terms, and terms to an answer.

A subset of AIP-160, described in docs/filters.md. `parsing.parse` reads it, `matches` decides for
one task, `taskwire_db.filters` says the same in SQL, and a property test compares the two. The
parser is not imported here, since a worker, which reads no filters, would load it too.
"""

from taskwire_core.filters.matching import Cohort, decide, matches
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
]
