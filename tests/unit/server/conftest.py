"""Fixtures of the server's tests."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A directory that every user of this machine can get to, which pytest's own are not."""
    directory = Path(tempfile.mkdtemp(prefix="rustdesk-unit-"))
    directory.chmod(0o755)
    yield directory
    # What a test closed has to be opened, from the outside in.
    directory.chmod(0o755)
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
    shutil.rmtree(directory)
