"""`python -m tests.worker.serve`: what `taskwire worker` runs, without the command line."""

from __future__ import annotations

import os
import sys

from taskwire_core.errors import ConfigurationError
from taskwire_core.logs import log_to_stderr
from taskwire_core.settings import read_settings
from taskwire_worker.main import run

if __name__ == "__main__":
    settings = read_settings(os.environ)
    log_to_stderr(settings.log_level)
    try:
        sys.exit(run(settings))
    except ConfigurationError as error:
        sys.exit(f"refused: {error}")
