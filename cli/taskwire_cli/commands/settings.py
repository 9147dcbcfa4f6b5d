"""`taskwire settings`: an example file that lists all of them."""

from __future__ import annotations

import click

from taskwire_cli.settings_help import settings_example


@click.command()
def settings() -> None:
    """Print a settings file: every setting with what it is and its default, commented out.

    \b
    Example:
      taskwire settings > taskwire.env
    """
    print(settings_example(), end="")
