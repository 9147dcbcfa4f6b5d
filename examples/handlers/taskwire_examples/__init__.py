"""The handlers of taskwire's own examples; `taskwire dev` loads them when nothing else is set."""

from taskwire_examples.data_tasks import profile_csv
from taskwire_examples.demo_tasks import flaky, sleep
from taskwire_examples.email_tasks import send_email
from taskwire_examples.image_tasks import make_thumbnail
from taskwire_examples.math_tasks import divide

__all__ = ["divide", "flaky", "make_thumbnail", "profile_csv", "send_email", "sleep"]
