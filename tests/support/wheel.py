"""taskwire as a wheel, and environments that have it and nothing of the clone.

No package index is asked: the wheel is built with the tools that are here, and what taskwire
needs is found where this Python has it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]

NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv", ".cache", "__pycache__", "node_modules", "data"),
    *("_contracts", "*_pb2*", "build", "generated"),
)
# taskwire itself, and what would change the project's own pip and pytest.
_NOT_LENT = ("taskwire", "_taskwire", "pip", "pytest_asyncio", "__pycache__")


def build_wheel(folder: Path) -> Path:
    """taskwire as it would be published."""
    shutil.copytree(ROOT, folder / "clone", ignore=NOT_COPIED)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--wheel-dir", str(folder), str(folder / "clone")]
    subprocess.run(command, check=True)
    (built,) = folder.glob("taskwire-*.whl")
    return built


def lend(folder: Path) -> None:
    """Everything that is installed here but for taskwire, for Python and pip to find."""
    folder.mkdir()
    for each in Path(sysconfig.get_path("purelib")).iterdir():
        if not each.name.startswith(_NOT_LENT):
            (folder / each.name).symlink_to(each)


def fresh_environment(folder: Path, wheel: Path) -> Path:
    """A new virtual environment with the wheel in it and everything lent; its programs."""
    lend(folder / "lent")
    environment = folder / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(f"{folder / 'lent'}\n")
    pip = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python")]
    install = ["install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run([*pip, *install], check=True)
    return environment / "bin"
