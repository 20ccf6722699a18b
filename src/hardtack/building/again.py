"""A wheel that was built is built again, where and when everything that should not matter to it is other, and compared."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from hardtack.building.build import Bench, BuiltWheel
from hardtack.building.compare import MemberDifference, compare_wheels
from hardtack.building.environment import Environments
from hardtack.building.sandbox_bubblewrap import Bubblewrap
from hardtack.building.workshop import Workshop
from hardtack.errors import BuildFault
from hardtack.model.finding import Finding, Severity
from hardtack.reporting import Reporter
from hardtack.system.files import remove, write_bytes

_APART = 2.1  # seconds: a ZIP tells times in steps of two
_DAY = 86_400
_SHOWN = 12  # differences that a finding tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What building a wheel again came to; no ``differences``: the same bytes.

    ``dated``: they come from the local date alone. ``another_day``: the two were built on two days.
    """

    differences: tuple[MemberDifference, ...] = ()
    dated: bool = False
    another_day: bool = False

    @property
    def same(self) -> bool:
        """True if the bytes are the same."""
        return not self.differences

    def finding(self, filename: str, *, package: str, version: str) -> Finding:
        """What differs, as a warning."""
        members = {difference.member for difference in self.differences if difference.member}
        count = (
            f"{len(members)} member{'s' if len(members) != 1 else ''} differ{'' if len(members) != 1 else 's'}" if members else "it differs"
        )
        lines = [f"    {difference}" for difference in self.differences[:_SHOWN]]
        if len(self.differences) > _SHOWN:
            lines.append(f"    and {len(self.differences) - _SHOWN} more")
        hint = "the digest of this build is recorded, and holds for this wheelhouse; built elsewhere, it will have another"
        if self.dated:
            hint = f"it holds the date on which it was built, where SOURCE_DATE_EPOCH tells the one to take; {hint}"
        return Finding(
            code="not-repeatable",
            severity=Severity.WARNING,
            message=f"{filename} does not come out the same when it is built again: {count}:\n" + "\n".join(lines),
            package=package,
            version=version,
            file=filename,
            hint=hint,
        )


def repeated(place: Bench, wheel: Path, filename: str, sha256: str, *, cache_dir: Path, apart: float = _APART) -> Repeat:
    """Whether a wheel that was built on this bench comes out again: what is known of it, else by building it again now.

    ``wheel`` holds its bytes. What was the same on one day is built once more on another, and never after that; what differed is not
    built again. ``apart``: seconds that lie between the two at least.
    """
    first = _built_at(place.key, cache_dir)
    now = time.time()
    another_day = first is not None and int(first) // _DAY != int(now) // _DAY
    known = _known(place.key, sha256, cache_dir)
    if known is not None and (not known.same or known.another_day or not another_day):
        return known
    if first is not None:
        # A clock that was set back is no reason to wait.
        place.shop.stop.wait(min(apart, max(0.0, first + apart - now)))
    found = replace(_built_again(place, wheel, filename, sha256, another_day=another_day), another_day=another_day)
    data = {"key": place.key, "sha256": sha256, **asdict(found)}
    write_bytes(_note(place.key, cache_dir), json.dumps(data, indent=1, sort_keys=True).encode() + b"\n")
    return found


def other_than_before(key: str, sha256: str, *, cache_dir: Path) -> Repeat | None:
    """What is to be said of a wheel that was just built, where an earlier run built it and its bytes are gone; None: the same."""
    try:
        earlier = str(json.loads((cache_dir / "built" / f"{key}.json").read_bytes())["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if earlier == sha256:
        return None
    return Repeat(differences=(_whole(f"an earlier build of it had the sha256 {earlier}; its bytes are no longer in the cache"),))


def _built_again(place: Bench, wheel: Path, filename: str, sha256: str, *, another_day: bool) -> Repeat:
    shop = place.shop
    shop.reporter.detail(f"{filename}: built again, elsewhere, to compare")
    shop.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".hardtack-again-", dir=shop.work))
    try:
        # On another day the date is another by itself.
        zone = shop.zone if another_day else _zone_of_another_date()
        built = _build(place, _unlike(shop, folder / "in" / "another" / "place", zone))
        if isinstance(built, BuildFault):
            return Repeat(differences=(_whole(f"it could not be built again: {built.reason.partition(';')[0]}"),))
        if built.sha256 == sha256 and built.filename == filename:
            return Repeat()
        differences = compare_wheels(wheel, built.path)
        if built.filename != filename:
            differences = (_whole(f"its name: {filename}, then {built.filename}"), *differences)
        if zone == shop.zone:
            return Repeat(differences=differences)
        # A zone is fixed for every build: what it alone does to the times of files, which are fixed too, is the same everywhere.
        third = _build(place, _unlike(shop, folder / "and" / "yet" / "another", shop.zone))
        dated = isinstance(third, BuiltWheel) and (third.sha256, third.filename) == (sha256, filename)
        if dated and all(difference.kind == "time" for difference in differences):
            return Repeat()
        return Repeat(differences=differences, dated=dated)
    finally:
        remove(folder)


def _build(place: Bench, shop: Workshop) -> BuiltWheel | BuildFault:
    try:
        with Environments(shop, kept=False) as environments, _fewer_cores():
            return place.elsewhere(shop, environments).wheel()
    except BuildFault as error:
        return error


def _unlike(shop: Workshop, folder: Path, zone: str) -> Workshop:
    """A workshop in which nothing is other that goes into a wheel."""
    sandbox = shop.sandbox
    if isinstance(sandbox, Bubblewrap):
        sandbox = replace(sandbox, hostname="elsewhere")
    folder.mkdir(parents=True)
    return replace(
        shop,
        work=folder,
        # For the log of this build, which is nobody's.
        cache_dir=folder / "cache",
        sandbox=sandbox,
        reporter=Reporter(),
        cores=shop.cores + 1,
        zone=zone,
        backwards=True,
    )


def _zone_of_another_date() -> str:
    """A time zone, as POSIX writes it, in which it is tomorrow or yesterday for the next hours."""
    return "DAY-13" if time.gmtime().tm_hour >= 11 else "DAY12"


@contextmanager
def _fewer_cores() -> Iterator[None]:
    """What this thread starts in the block may not use one of the cores that it has, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    own = os.sched_getaffinity(0)
    if len(own) < 2:
        yield
        return
    os.sched_setaffinity(0, own - {min(own)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _whole(words: str) -> MemberDifference:
    return MemberDifference(member="", kind="archive", detail=words)


def _built_at(key: str, cache_dir: Path) -> float | None:
    """When what is remembered under a key was built, in seconds of the epoch."""
    try:
        return (cache_dir / "built" / f"{key}.json").stat().st_mtime
    except OSError:
        return None


def _note(key: str, cache_dir: Path) -> Path:
    return cache_dir / "built" / f"{key}.again.json"


def _known(key: str, sha256: str, cache_dir: Path) -> Repeat | None:
    """What an earlier run found of the very same wheel."""
    try:
        data = json.loads(_note(key, cache_dir).read_bytes())
        if (data["key"], data["sha256"]) != (key, sha256):
            return None
        return Repeat(
            differences=tuple(MemberDifference(**row) for row in data["differences"]),
            dated=bool(data["dated"]),
            another_day=bool(data["another_day"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # absent, torn or of another schema: build again
