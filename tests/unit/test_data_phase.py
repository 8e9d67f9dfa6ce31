"""Which failure of several workers is the stream's."""

from __future__ import annotations

import pytest

from engine.errors import Code, EngineError
from engine.streams.bytequeue import Closed
from engine.streams.job import Interrupted
from engine.streams.snapshot import cause

LOST = EngineError(Code.CONNECTION_LOST, "gone")
ASKED = Interrupted("pause")
STOPPED = Closed()


@pytest.mark.parametrize(
    ("failures", "wanted"),
    [
        ([LOST], LOST),
        ([ASKED, LOST], LOST),
        ([STOPPED, LOST, ASKED], LOST),
        ([STOPPED, ASKED], ASKED),
        ([ASKED, STOPPED], ASKED),
        ([STOPPED], STOPPED),
    ],
)
def test_the_cause_is_not_what_followed_from_it(failures: list[BaseException], wanted: BaseException) -> None:
    assert cause(failures) is wanted
