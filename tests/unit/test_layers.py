"""The arrows of the architecture: server → engine.api → streams, federation, sql → connectors → formats →
ext, with the ground modules under all of them. Read from the source, so that a lazy import counts as well."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GROUND = frozenset(
    f"engine.{name}"
    for name in ("errors", "types", "schema", "plainvalues", "config", "failpoints", "ids", "clock")
)
SHARED = tuple(  # what all connectors lean on
    f"engine.connectors.{name}"
    for name in (
        *("base", "checkpoints", "failures", "mapped", "origins", "phases", "reading", "renames"),
        "target_tables",
    )
)
FACADE = ("engine", "engine.api", "engine.copying")  # what others embed; nothing below may lean on it


def imports(path: Path) -> Iterator[str]:
    """Every module `path` imports anywhere in it, absolute; `from package import name` gives `package.name`
    where that is a module and `package` otherwise."""
    package = list(path.relative_to(ROOT).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{module}.{alias.name}"
                yield full if is_module(full) else module


def is_module(name: str) -> bool:
    place = ROOT / Path(*name.split("."))
    return place.is_dir() or place.with_suffix(".py").exists() or place.with_suffix(".pyx").exists()


def within(module: str, *packages: str) -> bool:
    return any(module == package or module.startswith(package + ".") for package in packages)


def allowed(importer: str, imported: str) -> bool:
    """Whether the layers let `importer` import `imported`, both of this project."""
    if within(importer, "ext"):
        return within(imported, "ext")
    if within(importer, "server"):
        return within(imported, "server", "engine.api", *GROUND) or imported == "engine"
    if within(imported, "server", "benchmarks", "tests"):
        return False
    if importer in GROUND:
        return imported in GROUND
    if imported in GROUND:
        return True
    if importer in FACADE:
        return True
    if imported in FACADE:
        return False
    if within(importer, "engine.formats"):
        return within(imported, "ext", "engine.formats", *SHARED)
    if within(importer, "engine.connectors"):
        return allowed_to_connector(importer, imported)
    return True


def allowed_to_connector(importer: str, imported: str) -> bool:
    if within(imported, "ext"):
        return not within(importer, *SHARED)
    if not within(imported, "engine.connectors", "engine.formats"):
        return False
    if within(importer, *SHARED):
        return within(imported, *SHARED)
    folder = ".".join(importer.split(".")[:3])
    if not (ROOT / Path(*folder.split("."))).is_dir():
        return True  # a module beside base.py that knows them all
    return within(imported, folder, *SHARED, "engine.formats")


def modules() -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for package in ("engine", "ext", "server")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]


def source_of(module: str) -> Path:
    place = ROOT / Path(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


@pytest.mark.parametrize("module", modules())
def test_imports_point_down(module: str) -> None:
    ours = (
        name for name in imports(source_of(module)) if within(name, "engine", "ext", "server", "benchmarks")
    )
    assert [name for name in ours if not allowed(module, name)] == []


@pytest.mark.parametrize(
    ("importer", "imported", "verdict"),
    [
        ("server.routes.streams", "engine.api", True),
        ("server.routes.streams", "engine", True),
        ("server.app", "engine.errors", True),
        ("server.routes.streams", "engine.streams.plan", False),
        ("server.routes.streams", "engine.connectors.mysql.catalog", False),
        ("engine.api", "engine.streams.dispatch", True),
        ("engine.api", "server.app", False),
        ("engine.streams.snapshot", "engine.connectors.mysql.snapshot", True),
        ("engine.streams.snapshot", "engine.api", False),
        ("engine.connectors.mysql.types", "engine.connectors.base", True),
        ("engine.connectors.mysql.types", "engine.connectors.mysql.identifiers", True),
        ("engine.connectors.mysql.types", "engine.connectors.postgres.identifiers", False),
        ("engine.connectors.mysql.types", "engine.streams.progress", False),
        ("engine.connectors.mysql.snapshot", "ext.mysqlrows", True),
        ("engine.connectors.base", "engine.connectors.mysql.types", False),
        ("engine.schema", "engine.types", True),
        ("engine.schema", "engine.connectors.base", False),
        ("engine.schema", "ext.pgcopy", False),
        ("ext.plain.pgcopy", "engine.errors", False),
        ("ext.plain.pgcopy", "ext.pgcopy", True),
    ],
)
def test_the_rules_themselves(importer: str, imported: str, verdict: bool) -> None:
    assert allowed(importer, imported) is verdict


def test_imports_are_found_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "engine" / "connectors" / "here.py"
    source.parent.mkdir(parents=True)
    (source.parent / "base.py").touch()
    source.write_text("import os\nfrom . import base\ndef f():\n    from ..streams import plan\n")
    assert list(imports(source)) == ["os", "engine.connectors.base", "engine.streams"]
