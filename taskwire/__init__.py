"""What a program that runs tasks imports from taskwire.

from taskwire import Retry, TaskContext, errors, task

@task("acme.images.v1.ImageTasks/MakeThumbnail")
def make_thumbnail(request: MakeThumbnailRequest, context: TaskContext) -> MakeThumbnailResponse:
    ...
"""

from taskwire import errors
from taskwire.context import ProgressReport, TaskContext
from taskwire.errors import Retry
from taskwire.handler import Isolation, task
from taskwire.submission import FollowUp, When

__all__ = [
    "FollowUp",
    "Isolation",
    "ProgressReport",
    "Retry",
    "TaskContext",
    "When",
    "errors",
    "task",
]
