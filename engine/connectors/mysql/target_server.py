"""What has to be known of a MySQL or MariaDB target before anything is mapped: flavor, limits, collations."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.connectors.base import ServerInfo
from engine.connectors.mysql.checkpoint import Session, rows_of

KEY_BYTES = 3072  # of an InnoDB index entry (ROW_FORMAT=DYNAMIC)
KEY_CHARS = KEY_BYTES // 4
ROW_BYTES = 65_535
MAX_COLUMNS = 1017
_EXACT = {"mysql": "utf8mb4_0900_bin", "mariadb": "utf8mb4_nopad_bin"}

# By the ending of a collation's name: what is nearest to it elsewhere, the best first.
_NEAREST = (
    ("_nopad_bin", ("_nopad_bin", "_0900_bin", "_bin")),
    ("_0900_bin", ("_0900_bin", "_nopad_bin", "_bin")),
    ("_bin", ("_bin",)),
    ("_as_cs", ("_0900_as_cs", "_uca1400_as_cs", "_bin")),
    ("_as_ci", ("_0900_as_ci", "_uca1400_as_ci", "_unicode_520_ci")),
    ("_ai_ci", ("_0900_ai_ci", "_uca1400_ai_ci", "_unicode_520_ci")),
    ("_ai_cs", ("_0900_as_cs", "_uca1400_ai_cs", "_bin")),
    ("_nopad_ci", ("_general_ci", "_unicode_ci")),
    ("_ci", ("_unicode_ci", "_general_ci")),
)


@dataclass(frozen=True, slots=True)
class TargetServer:
    """flavor: mysql or mariadb. collations: every name the server knows. exact_names: table names are told
    apart by case."""

    flavor: str
    version: tuple[int, ...]
    collations: frozenset[str] = field(default_factory=frozenset)
    exact_names: bool = True

    @property
    def exact_collation(self) -> str:
        """In which two texts are equal only when they are the same, blanks at the end included."""
        wanted = _EXACT[self.flavor]
        return wanted if not self.collations or wanted in self.collations else "utf8mb4_bin"

    @property
    def most_scale(self) -> int:
        return 38 if self.flavor == "mariadb" else 30

    @property
    def has_uuid(self) -> bool:
        return self.flavor == "mariadb" and self.version >= (10, 7)

    @property
    def has_inet4(self) -> bool:
        return self.flavor == "mariadb" and self.version >= (10, 10)

    @property
    def has_inet6(self) -> bool:
        return self.flavor == "mariadb" and self.version >= (10, 5)

    @property
    def has_vector(self) -> bool:
        return self.version >= ((11, 7) if self.flavor == "mariadb" else (9, 0))

    @property
    def has_invisible(self) -> bool:
        return self.flavor == "mariadb" or self.version >= (8, 0, 23)

    def nearest_collation(self, charset: str, collation: str) -> str | None:
        """The collation itself where the server has it, else one of that character set that compares alike in
        most respects; None when the server has none of them."""
        if collation in self.collations:
            return collation
        full = f"{charset}_{collation}"  # MariaDB's uca1400 names are short where the charset is given
        if full in self.collations:
            return full
        for ending, candidates in _NEAREST:
            if collation.endswith(ending):
                for candidate in candidates:
                    if charset + candidate in self.collations:
                        return charset + candidate
        return None


def read_server(session: Session, info: ServerInfo) -> TargetServer:
    names = {
        str(name) for (name,) in rows_of(session, "SELECT COLLATION_NAME FROM information_schema.COLLATIONS")
    }
    if info.flavor == "mariadb" and info.version_tuple >= (10, 10):
        names |= {
            str(name)
            for (name,) in rows_of(
                session,
                "SELECT FULL_COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY",
            )
        }
    exact = int(rows_of(session, "SELECT @@lower_case_table_names")[0][0]) == 0
    return TargetServer(info.flavor, info.version_tuple, frozenset(names), exact)
