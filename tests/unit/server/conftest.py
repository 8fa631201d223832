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
    directory.chmod(0o755)
    shutil.rmtree(directory)
