"""The script that fetches the player libraries: what is served to browsers is what was pinned, or nothing."""

import base64
import hashlib
import importlib.util
import io
import sys
import tarfile
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.error import URLError

import pytest

SCRIPT = Path(__file__).parent.parent.parent / "tools" / "get-players.py"


def package(files: dict[str, bytes]) -> bytes:
    """A tarball as the npm registry has them."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def integrity(data: bytes) -> str:
    """The checksum as the registry writes it."""
    return "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode()


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, with a registry that has one package, and an empty folder to fetch into."""
    spec = importlib.util.spec_from_file_location("get_players", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "get_players", module)
    spec.loader.exec_module(module)
    data = package({"dist/player.mjs": b"play()", "../evil": b""})
    library = replace(module.LIBRARIES[0], name="player.js", integrity=integrity(data), files=("dist/player.mjs",))
    monkeypatch.setattr(module, "LIBRARIES", (library,))
    monkeypatch.setattr(module, "VENDOR", tmp_path)
    answer_with(monkeypatch, module, data)
    return module


def answer_with(monkeypatch: pytest.MonkeyPatch, script: ModuleType, answer: bytes | Exception) -> None:
    """Have the registry answer this."""

    def urlopen(url: str, timeout: float) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return io.BytesIO(answer)

    monkeypatch.setattr(script.urllib.request, "urlopen", urlopen)


def test_a_library_is_fetched_once(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that pages use are there after the first run, and nothing else of the package; the second fetches nothing."""
    assert script.main() == 0
    assert (tmp_path / "player" / "player.mjs").read_bytes() == b"play()"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["VERSION", "player", "player.mjs"]
    answer_with(monkeypatch, script, AssertionError("fetched again"))
    assert script.main() == 0


def test_another_package_is_refused(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What does not have the pinned checksum is not unpacked."""
    answer_with(monkeypatch, script, package({"dist/player.mjs": b"steal()"}))
    assert script.main() == 1
    assert "checksum" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_without_a_network_it_says_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Offline the server can still be installed and run: one line tells what will not work."""
    answer_with(monkeypatch, script, URLError("no route"))
    assert script.main() == 0
    assert "no player.js (no route)" in capsys.readouterr().err
