"""Every note the mapping can write has a sentence of its own in the policies."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
POLICIES = ROOT / "docs/policies/postgres-structure.md"
PACKAGE = ROOT / "engine/connectors/postgres"
MODULES = (
    "names",
    "types",
    "indexes",
    "constraints",
    "sequences",
    "mapping",
    "defaults",
    "generated",
    "triggers",
    "inventory",
)
WRITTEN = re.compile(r"(?:\.(?:warn|inform)\(|Severity\.[A-Z]+,|_warn\(database,)\s*\"([a-z0-9-]+)\"")


def test_every_note_is_documented() -> None:
    documented = set(re.findall(r"^- \*\*([a-z0-9-]+)\*\* — ", POLICIES.read_text(), re.M))
    written = {slug for module in MODULES for slug in WRITTEN.findall((PACKAGE / f"{module}.py").read_text())}
    assert len(written) > 45
    assert written - documented == set()
