"""The whole corpus."""

from __future__ import annotations

from functools import cache

from tests.corpus.answers import answers
from tests.corpus.backends import backends
from tests.corpus.case import Case
from tests.corpus.documents import documents
from tests.corpus.pages import pages
from tests.corpus.sdists import sdists
from tests.corpus.wheel_texts import wheel_texts
from tests.corpus.wheels import wheels


@cache
def every_case() -> tuple[Case, ...]:
    """All cases, in a fixed order, each id once."""
    cases = (*wheels(), *wheel_texts(), *sdists(), *pages(), *answers(), *backends(), *documents())
    ids = [case.id for case in cases]
    assert len(set(ids)) == len(ids), sorted({one for one in ids if ids.count(one) > 1})
    return cases


def of_kind(*kinds: str) -> list[Case]:
    """The cases of some kinds."""
    return [case for case in every_case() if case.kind in kinds]
