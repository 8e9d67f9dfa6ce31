"""The README and the policies page say what is there: targets, commands, options, files, policies."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import typer

from engine.config import Policies
from engine.connectors.registry import route_table
from server.cli import app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
POLICIES = (ROOT / "docs/policies/README.md").read_text()
COMMANDS = typer.main.get_command(app)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`?\bmake ([a-z]+)", README))))
def test_make_targets_exist(target: str) -> None:
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`dbstreams ([a-z]+)", README))))
def test_commands_exist(name: str) -> None:
    assert name in COMMANDS.commands  # type: ignore[attr-defined]


def test_the_table_of_commands_is_complete() -> None:
    listed = re.findall(r"^\| `dbstreams ([a-z]+)` \|", README, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS.commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize("option", sorted(set(re.findall(r"`(--[a-z-]+)", README.split("## Python")[0]))))
def test_options_of_copy_exist(option: str) -> None:
    copy = COMMANDS.commands["copy"]  # type: ignore[attr-defined]
    assert option in [name for parameter in copy.params for name in parameter.opts]


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_folders_exist() -> None:
    folders = re.findall(r"^\| `([a-z]+)/` \|", README, re.MULTILINE)
    assert len(folders) == 5
    assert [name for name in folders if not (ROOT / name).is_dir()] == []


def test_the_python_example_is_five_lines() -> None:
    (block,) = blocks("python")
    ast.parse(block)
    assert len([line for line in block.splitlines() if line.strip()]) <= 5


@pytest.mark.parametrize("block", blocks("sh"))
def test_shell_examples_parse(block: str) -> None:
    subprocess.run(["bash", "-n", "-c", block], check=True)


@pytest.mark.parametrize("name", list(Policies.model_fields))
def test_every_policy_is_listed_with_its_values_default_first(name: str) -> None:
    field = Policies.model_fields[name]
    row = re.search(rf"^\| `{field.alias}` \| (.*?) \|", POLICIES, re.MULTILINE)
    assert row, field.alias
    listed = re.findall(r"`([^`]+)`", row[1])
    assert listed[0] == field.default
    assert sorted(listed) == sorted(get_args(field.annotation))


def test_the_table_of_routes_is_that_of_the_code() -> None:
    """Print it anew: python -c "from engine.connectors.registry import route_table; print(route_table())"."""
    assert route_table() in README
