"""The group operations: each does one thing to many tasks, in one transaction.

Every function here takes a transaction and items, and answers in the items' order. Each state
change is a compare-and-set built from `taskwire_core.lifecycle`; each writes its event in the
same transaction.

On PostgreSQL transactions run side by side, under READ COMMITTED. A compare-and-set that meets
another one waits for it and then looks at the row as it is, so that one of the two matches
nothing. Groups are sorted by id before they lock rows, which keeps two of them from waiting for
one another; where they do all the same, the transaction is run again (`Database.write`).
"""

from taskwire_db.operations.bulk import (
    advance_bulk,
    begin_bulk,
    cancel_bulk,
    delete_bulk,
    forget_bulk,
)
from taskwire_db.operations.cancel import CancelRequest, CancelResult, cancel
from taskwire_db.operations.children import (
    AttemptOver,
    ChildSubmission,
    KeyReused,
    submit_children,
)
from taskwire_db.operations.claim import ClaimRequest, claim
from taskwire_db.operations.delete import DeleteRequest, DeleteResult, delete
from taskwire_db.operations.dispatch import (
    Backlog,
    mark_dispatched,
    release_gateway,
    take_backlog,
    undispatch,
)
from taskwire_db.operations.insertion import Submission
from taskwire_db.operations.leases import (
    GatewayRow,
    Heartbeat,
    Leadership,
    Lease,
    WorkerRow,
    delete_gateway,
    delete_worker,
    expire_worker,
    heartbeat,
    lead,
    register_gateway,
    register_worker,
    renew_gateway,
)
from taskwire_db.operations.progress import ProgressRow, save_progress
from taskwire_db.operations.queues import (
    PauseRequest,
    forget_activity,
    pause_queue,
    resume_queue,
)
from taskwire_db.operations.retention import (
    Expired,
    delete_expired,
    forget_counters,
    forget_options,
    prune_changes,
)
from taskwire_db.operations.retry import RetryResult, retry
from taskwire_db.operations.run_now import RunNowRequest, RunNowResult, run_now
from taskwire_db.operations.settle import settle
from taskwire_db.operations.submit import (
    Submitted,
    SubmitUnit,
    UnitResult,
    submit,
)
from taskwire_db.operations.sweeps import (
    Stranded,
    Sweep,
    sweep_deadlines,
    sweep_due,
    sweep_lost,
    sweep_orphans,
    sweep_stranded,
)
from taskwire_db.operations.users import (
    OwnerGone,
    acting_user,
    change_user,
    create_user,
    delete_user,
    submit_owned,
)

__all__ = [
    "AttemptOver",
    "Backlog",
    "CancelRequest",
    "CancelResult",
    "ChildSubmission",
    "ClaimRequest",
    "DeleteRequest",
    "DeleteResult",
    "Expired",
    "GatewayRow",
    "Heartbeat",
    "KeyReused",
    "Leadership",
    "Lease",
    "OwnerGone",
    "PauseRequest",
    "ProgressRow",
    "RetryResult",
    "RunNowRequest",
    "RunNowResult",
    "Stranded",
    "Submission",
    "SubmitUnit",
    "Submitted",
    "Sweep",
    "UnitResult",
    "WorkerRow",
    "acting_user",
    "advance_bulk",
    "begin_bulk",
    "cancel",
    "cancel_bulk",
    "change_user",
    "claim",
    "create_user",
    "delete",
    "delete_bulk",
    "delete_expired",
    "delete_gateway",
    "delete_user",
    "delete_worker",
    "expire_worker",
    "forget_activity",
    "forget_bulk",
    "forget_counters",
    "forget_options",
    "heartbeat",
    "lead",
    "mark_dispatched",
    "pause_queue",
    "prune_changes",
    "register_gateway",
    "register_worker",
    "release_gateway",
    "renew_gateway",
    "resume_queue",
    "retry",
    "run_now",
    "save_progress",
    "settle",
    "submit",
    "submit_children",
    "submit_owned",
    "sweep_deadlines",
    "sweep_due",
    "sweep_lost",
    "sweep_orphans",
    "sweep_stranded",
    "take_backlog",
    "undispatch",
]
