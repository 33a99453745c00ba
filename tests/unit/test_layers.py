"""Who may import whom: the rooms of the house, and the doors between them.

The table below is the one of docs/architecture.md. Imports under ``if TYPE_CHECKING`` bring nothing in and are not counted.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "ems"

EVERYBODY = {"errors", "interfaces", "uri"}
"""What every room may import, beside its own modules."""

MAY_IMPORT: dict[str, set[str]] = {
    "media": set(),
    "formats": {"media"},
    "events": {"config", "log"},
    "security": {"config"},
    "config": set(),
    "log": {"config"},
    "net": {"config", "security"},
    "streams": {"media", "net", "config"},
    "protocols": {"media", "formats", "streams", "net", "security"},
    "segmenters": {"media", "formats", "streams", "config", "jobs", "security", "published", "events"},
    "recorders": {"media", "formats", "streams"},
    "vod": {"media", "formats", "streams", "config", "security"},
    "metadata": {"media", "formats", "streams", "net", "config", "jobs"},
    "jobs": {"streams", "config", "security"},
    "web": {"config", "security", "events", "net", "published", "api", "version"},
    "rendezvous": {"security"},
    "api": {"media", "config", "streams", "net", "security", "jobs", "events", "metadata", "segmenters", "version", "vod"},
}
"""What each room may import of the others."""

TOP: dict[str, set[str]] = {
    "access": {"config", "net", "security", "streams"},
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"config", "foreground", "plugins", "security", "service"},
    "demo": {"demo_clip", "media"},
    "demo_clip": {"media"},
    "errors": set(),
    "foreground": {"process"},
    "housekeeping": set(),
    "interfaces": set(),
    "manhole": {"config"},
    "plugins": set(),
    "process": set(),
    "published": set(),
    "reporting": {"api", "config", "events", "media", "net", "streams"},
    "server": {"events", "net", "published"},
    "twistd": {"config", "process", "service"},
    "uri": set(),
    "version": set(),
}
"""What the modules beside the rooms may import."""

KNOW_EVERYBODY = {"service", "testing"}
"""`service` puts the house together, and `testing` lends it to the authors of plugins."""


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the package with its syntax tree."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path, ast.parse(path.read_bytes(), str(path))


def imports(tree: ast.Module, *, in_functions: bool = True) -> Iterator[str]:
    """The dotted names that a module imports (``from a import b`` as ``a.b``), without those for type checkers only."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting.extend(node.orelse)
        elif in_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting.extend(ast.iter_child_nodes(node))


def room(path: Path) -> str:
    """The room a module is in, or its own name when it stands beside the rooms."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def test_every_room_imports_only_what_lies_below_it() -> None:
    """A change in one room can break only those rooms that are allowed to know it."""
    wrong = []
    for path, tree in modules():
        here = room(path)
        if here in KNOW_EVERYBODY:
            continue
        allowed = {"ems", here, "__version__"} | EVERYBODY | (MAY_IMPORT | TOP)[here]
        for name in imports(tree):
            package, _, rest = name.partition(".")
            if package == "ems" and (rest or "ems").split(".")[0] not in allowed:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []


def test_every_room_is_in_the_table() -> None:
    """A new room says whom it may know before it is furnished."""
    rooms = {room(path) for path, _ in modules()}
    assert rooms - set(MAY_IMPORT) - set(TOP) - KNOW_EVERYBODY == set()


def test_protocols_do_not_know_each_other() -> None:
    """A protocol can be taken away without harm to the others."""
    wrong = []
    for path, tree in modules():
        parts = path.relative_to(PACKAGE).parts
        if parts[0] != "protocols" or len(parts) < 3:
            continue
        for name in imports(tree):
            names = name.split(".")
            if names[:2] == ["ems", "protocols"] and len(names) > 2 and names[2] != parts[1]:
                wrong.append(f"{'/'.join(parts)} imports {name}")
    assert wrong == []


def test_bytes_and_values_need_no_network() -> None:
    """Codecs, formats and the protocols' state machines run without Twisted, sockets, clocks and threads."""
    forbidden = {"twisted", "zope", "socket", "asyncio", "time", "threading", "select"}
    wrong = []
    for path, tree in modules():
        if room(path) in ("media", "formats") or path.name in ("wire.py", "mapping.py"):
            wrong += [f"{path.relative_to(PACKAGE)}: {name}" for name in imports(tree) if name.split(".")[0] in forbidden]
    assert wrong == []


def test_nobody_imports_the_reactor_early() -> None:
    """Importing any module of the server leaves the choice of the reactor open."""
    wrong = [
        f"{path.relative_to(PACKAGE)}: {name}"
        for path, tree in modules()
        for name in imports(tree, in_functions=False)
        if name.startswith("twisted.internet.reactor")
    ]
    assert wrong == []


def test_importing_the_command_does_not_install_a_reactor() -> None:
    """`ems` chooses its reactor after it has read its arguments."""
    code = "import sys, ems.cli, ems.twistd, twisted.plugins.ems_service; sys.exit('twisted.internet.reactor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30, cwd=PACKAGE.parent).returncode == 0


PROTOCOLS = sorted(path.name for path in (PACKAGE / "protocols").iterdir() if (path / "__init__.py").exists())

IMPORT_THE_REST = """
import importlib, pkgutil, sys

missing = sys.argv[1]


class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == missing or name.startswith(missing + "."):
            raise ModuleNotFoundError(f"{name} has been deleted", name=name)


sys.meta_path.insert(0, Missing())
import ems

for module in pkgutil.walk_packages(ems.__path__, "ems.", onerror=lambda name: None):
    if not module.name.startswith(missing) and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_rest_imports_without_a_protocol(protocol: str) -> None:
    """A protocol's folder can be deleted, and the server still imports."""
    command = [sys.executable, "-c", IMPORT_THE_REST, f"ems.protocols.{protocol}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=PACKAGE.parent)
    assert done.returncode == 0, done.stderr
