"""The shape of the project: imports go one way, sizes stay readable, every error speaks, no machine is named."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from omreceiver import errors
from tests.conftest import ROOT

PACKAGE = ROOT / "omreceiver"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
#: from the top down; a room may import from those below it, and from itself
LAYERS = (
    ("cli", "worker"),
    ("testing",),
    ("app",),
    ("admin",),
    ("redo",),
    ("receive",),
    ("relays",),
    ("store", "door", "queries"),
    ("signals", "records"),
    ("schema",),
    ("config",),
    ("errors",),
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}
#: the front of the house names what users import
FRONT = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
#: the only importers of a library
OWNERS = {"spyne": "door/spyne_compat.py", "blinker": "signals/", "alembic": "store/", "lark": "queries/"}


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def measured() -> list[Path]:
    """All but the migrations, which are lists."""
    return [path for path in MODULES if "versions" not in path.parts]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """(name, lines without the docstring)"""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[1] if ast.get_docstring(node) and len(node.body) > 1 else node.body[0]
            yield f"{path.name}:{node.name}", (node.end_lineno or 0) - first.lineno + 1


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path not in FRONT], ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_go_one_way(path: Path) -> None:
    here = room(path)
    inside = {name.split(".")[1] for name in imported(path) if name.startswith("omreceiver.")}
    upward = {other for other in inside & LEVEL.keys() if other != here and LEVEL[other] <= LEVEL[here]}
    assert upward == set()


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in MODULES if path not in FRONT} == set(LEVEL)


@pytest.mark.parametrize("library", OWNERS)
def test_a_library_has_one_importer(library: str) -> None:
    users = {
        str(path.relative_to(PACKAGE)) for path in MODULES if library in {name.split(".")[0] for name in imported(path)}
    }
    assert users
    assert [user for user in users if not user.startswith(OWNERS[library])] == []


def test_sizes() -> None:
    lengths = sorted(size for path in measured() for _, size in functions(path))
    assert [name for path in measured() for name, size in functions(path) if size > 40] == []
    assert lengths[len(lengths) // 2] <= 8
    assert lengths[int(len(lengths) * 0.9)] <= 25
    assert [path.name for path in measured() if len(path.read_text().splitlines()) > 250] == []


def test_names() -> None:
    stems = {path.stem for path in MODULES}
    assert stems & {"utils", "helpers", "manager", "base", "common", "service_layer"} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_module_says_what_it_is(path: Path) -> None:
    source = path.read_text()
    assert not source or ast.get_docstring(ast.parse(source))


def test_every_error_is_in_the_tree_and_speaks() -> None:
    tree = errors.__doc__ or ""
    kinds = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    for kind in kinds:
        assert kind.__name__ in tree
        assert (kind.__doc__ or "").strip().endswith(".")
        assert issubclass(kind, errors.OmreceiverError)


def test_the_project_speaks_of_itself_only() -> None:
    """No path of a machine, no host of a package registry."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split(
        "\n"
    )
    texts = {name: (ROOT / name).read_text(errors="replace") for name in listed if name and (ROOT / name).is_file()}
    words = ("/wor" + "k/", "/ro" + "ot/", "pypi" + ".org", "files.python" + "hosted", "registry." + "npmjs")
    assert [(name, word) for name, text in texts.items() for word in words if word in text] == []
