"""The pages of docs/policies and the tests name the same cases: no sentence without a test, and no test that
cites a sentence which is not there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for path in (ROOT / "docs/policies").glob("*.md") if path.name != "README.md")
TESTS = sorted((ROOT / "tests").rglob("*.py"))

SENTENCE = re.compile(r"- ((?:\*\*[^*]+\*\*(?:, )?)+) — \S")  # one slug or several before the dash
SLUG = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
CITED = re.compile(r"\bslugs?: ((?:[^\n:;.]|(?<=,)\n)+)")


def slugs_of(page: Path) -> list[str]:
    """The slugs of a page, in its order. Every item of a list that begins in bold is a sentence of one."""
    found = []
    for line in page.read_text().splitlines():
        if line.startswith("- **"):
            match = SENTENCE.match(line)
            assert match, f"{page.name}: {line}"
            found += re.findall(r"\*\*([^*]+)\*\*", match[1])
    return found


def cited_by(path: Path) -> Iterator[tuple[str, str]]:
    """(where, slug) of each docstring that says `slug:` or `slugs:`, up to the next stop."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match = CITED.search(ast.get_docstring(node) or "")
            if match:
                where = path.name if isinstance(node, ast.Module) else f"{path.name}::{node.name}"
                yield from ((where, slug) for slug in re.split(r",\s*|\s+and\s+", match[1].strip()))


DOCUMENTED = {slug: page.name for page in PAGES for slug in slugs_of(page)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_slugs_are_well_formed_and_in_one_place(page: Path) -> None:
    slugs = slugs_of(page)
    assert [slug for slug in slugs if not SLUG.fullmatch(slug)] == []
    assert sorted(slugs) == sorted(set(slugs))
    assert [slug for slug in slugs if DOCUMENTED[slug] != page.name] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_sentence_has_a_test(page: Path) -> None:
    words = {word for path in TESTS if path != Path(__file__) for word in SLUG.findall(path.read_text())}
    assert [slug for slug in slugs_of(page) if slug not in words] == []


def test_every_citation_has_a_sentence() -> None:
    cited = [found for path in TESTS for found in cited_by(path)]
    assert len(cited) > 50
    assert [(where, slug) for where, slug in cited if slug not in DOCUMENTED] == []
