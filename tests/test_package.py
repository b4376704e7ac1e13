"""What is shipped: a wheel holds the files that are no modules, too."""

from __future__ import annotations

import ast
import tomllib

import omreceiver
from tests.conftest import ROOT

PACKAGE = ROOT / "omreceiver"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_file_that_is_no_module_is_package_data() -> None:
    """Setuptools leaves out what no pattern names: a template that only works in a checkout."""
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["omreceiver"]
    shipped = {path for pattern in patterns for path in PACKAGE.glob(pattern) if path.is_file()}
    assert shipped == {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)


def test_public_names_are_where_the_type_checker_sees_them() -> None:
    """They are imported when they are asked for, and listed once more for who only reads."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {
        alias.name: (node.module or "").removeprefix("omreceiver.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("omreceiver.")
        for alias in node.names
    }
    assert seen == omreceiver._HOMES
    assert sorted(seen) == omreceiver.__all__
    assert set(omreceiver.__all__) <= set(dir(omreceiver))
