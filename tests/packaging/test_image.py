"""The Dockerfile as far as it can be checked without an engine: its files, commands, settings."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatch

import pytest

from taskwire_cli.main import _COMMANDS
from taskwire_core.settings import read_settings
from tests.packaging.image import (
    ROOT,
    Instruction,
    copied,
    instructions,
    let_through,
    stages,
    variables,
)


def the(word: str) -> Instruction:
    """The only instruction of this kind in the stage that is shipped."""
    (found,) = [each for each in stages()[-1] if each.word == word]
    return found


@pytest.mark.parametrize("source", copied())
def test_what_is_copied_exists_and_is_not_ignored(source: str) -> None:
    assert (ROOT / source).exists()
    assert any(fnmatch(source, pattern) for pattern in let_through())


def test_nothing_else_is_let_through() -> None:
    assert len(let_through()) == len(set(let_through()))
    for pattern in let_through():
        assert any(fnmatch(source, pattern) for source in copied()), pattern


def test_every_package_of_the_wheel_is_copied() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    for package in packages:
        assert any(package == each or package.startswith(f"{each}/") for each in copied()), package


def test_the_wheel_comes_from_one_stage_and_the_image_is_another() -> None:
    build, image = stages()
    assert build[0].rest.endswith(" AS build")
    assert build[0].rest.removesuffix(" AS build") == image[0].rest
    assert image[0].rest.endswith("-slim")
    assert "--from=build /wheel /tmp/wheel" in [each.rest for each in image]


def test_whatever_is_installed_is_pinned_by_a_hash_or_is_the_wheel() -> None:
    runs = " && ".join(each.rest for each in instructions() if each.word == "RUN")
    installs = [part for part in runs.split("&&") if "pip install" in part]
    assert len(installs) == 3
    for install in installs:
        assert "--require-hashes" in install or "--no-index" in install


def test_the_image_runs_as_nobody_in_particular_and_ends_in_order() -> None:
    assert the("USER").rest == "taskwire"
    assert any("useradd --system" in each.rest for each in stages()[-1])
    words = [each.word for each in stages()[-1]]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    assert the("STOPSIGNAL").rest == "SIGTERM"


def test_its_commands_exist() -> None:
    assert the("ENTRYPOINT").words == ["taskwire"]
    assert the("CMD").words[0] in _COMMANDS
    check = the("HEALTHCHECK").rest
    assert check.endswith('CMD ["taskwire", "health"]')
    assert "health" in _COMMANDS


def test_its_settings_are_settings_and_its_ports_are_theirs() -> None:
    found = read_settings({k: v for k, v in variables().items() if k.startswith("TASKWIRE_")})
    ports = [address.rpartition(":")[2] for address in (found.listen, found.admin_listen)]
    assert the("EXPOSE").words == ports
    assert the("WORKDIR").rest == str(found.data_dir)
