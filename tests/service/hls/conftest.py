"""The server of a test that writes HLS into the test's folder."""

from pathlib import Path

import pytest

from tests.service.hls.world import World


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A server whose clock moves with the frames, and whose files are written in the moment they are due."""
    return World(tmp_path, monkeypatch)
