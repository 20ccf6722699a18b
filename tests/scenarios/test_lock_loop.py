"""The lock loop through the real uv: a wheel for every target of a marker class wherever some version has one, and never a silent sdist."""

from __future__ import annotations

from hardtack import BuildOptions
from hardtack.model.plan import Build, Take
from tests.scenarios.yard import ARM, LINUX, MAC, OLD_LINUX, WINDOWS, Yard, errors, proven, taken, versions

TOO_NEW = "cp312-cp312-manylinux_2_34_x86_64"
FITS_BOTH = "cp312-cp312-manylinux_2_17_x86_64"
FITS_NEW = "cp312-cp312-manylinux_2_28_x86_64"


def test_an_older_version_holds(yard: Yard) -> None:
    """The newest has a wheel for glibc 2.28 alone; one class shares one version, so that both get the older one."""
    old = yard.wheel("fast", "1.0", tag=FITS_BOTH)
    yard.wheel("fast", "2.0", tag=FITS_NEW)
    alone = yard.plan("fast", targets=(LINUX,))
    assert versions(alone) == {"fast": "2.0"}
    result = yard.build("fast", targets=(LINUX, OLD_LINUX))
    proven(result)
    assert versions(result) == {"fast": "1.0"}
    assert taken(result) == {LINUX: {old}, OLD_LINUX: {old}}


def test_a_newer_version_lifts(yard: Yard) -> None:
    """A constraint keeps an old version without a fitting wheel elsewhere; a preference must not hold what a newer one would serve."""
    yard.wheel("fast", "1.0", tag=FITS_NEW)
    yard.build("fast", targets=(LINUX,))
    newer = yard.wheel("fast", "2.0", tag=FITS_BOTH)
    yard.wheel("fast", "0.5", tag=FITS_BOTH)
    result = yard.build("fast", targets=(LINUX, OLD_LINUX))
    proven(result)
    assert taken(result) == {LINUX: {newer}, OLD_LINUX: {newer}}


def test_a_class_of_its_own_keeps_the_newest_and_the_skew_is_told(yard: Yard) -> None:
    old = yard.wheel("fast", "1.0", tag=FITS_BOTH)
    yard.wheel("fast", "2.0", tag=FITS_NEW)
    mac = yard.wheel("fast", "2.0", tag="cp312-cp312-macosx_11_0_arm64")
    result = yard.build("fast", targets=(LINUX, OLD_LINUX, MAC))
    proven(result)
    assert taken(result) == {LINUX: {old}, OLD_LINUX: {old}, MAC: {mac}}
    said = [finding for finding in result.findings if finding.code == "skew"]
    assert len(said) == 1
    assert "only up to 1.0" in said[0].message
    assert result.lock is not None
    assert [skew.name for skew in result.lock.skews] == ["fast"]


def test_a_constraint_that_only_moves_a_gap_is_withdrawn(yard: Yard) -> None:
    """An older top has a wheel for all, but wants a dependency that has no wheel anywhere: holding top back would gain nothing."""
    yard.wheel("top", "1.0", tag=FITS_BOTH, requires=["stone"])
    yard.wheel("top", "2.0", tag=FITS_NEW)
    yard.sdist("top", "2.0")
    yard.sdist("stone")
    result = yard.plan("top", targets=(LINUX, OLD_LINUX))
    assert versions(result) == {"top": "2.0"}


def test_what_has_only_an_sdist_stays(yard: Yard) -> None:
    yard.sdist("stone", "1.0")
    yard.sdist("stone", "1.1")
    result = yard.plan("stone", targets=(LINUX, OLD_LINUX, WINDOWS))
    proven(result)
    assert versions(result) == {"stone": "1.1"}
    assert result.plan is not None
    assert all(isinstance(entry.decision, Build) for entry in result.plan.entries)


def test_an_sdist_is_no_reason_to_leave_wheels(yard: Yard) -> None:
    """A newer version has an sdist alone: the last with wheels for all is taken, not a build."""
    wheels = {tag: yard.wheel("fast", "1.0", tag=f"cp312-cp312-{tag}") for tag in ("manylinux_2_17_x86_64", "win_amd64")}
    yard.sdist("fast", "2.0")
    result = yard.build("fast", targets=(LINUX, WINDOWS))
    proven(result)
    assert taken(result) == {LINUX: {wheels["manylinux_2_17_x86_64"]}, WINDOWS: {wheels["win_amd64"]}}
    assert result.built == 0


def test_never_an_sdist_silently(yard: Yard) -> None:
    """One target of the class has a wheel in no version: the plan says that it is built there, and why the wheels do not fit."""
    wheel = yard.wheel("fast", "1.0", tag=FITS_NEW)
    sdist = yard.sdist("fast", "1.0")
    result = yard.plan("fast", targets=(LINUX, OLD_LINUX))
    assert result.plan is not None
    decisions = {entry.target: entry.decision for entry in result.plan.entries}
    assert isinstance(decisions[LINUX], Take)
    build = decisions[OLD_LINUX]
    assert isinstance(build, Build)
    assert [rejected.filename for rejected in build.rejected] == [wheel]
    assert "2.28" in build.rejected[0].reason
    assert sdist

    refused = yard.plan("fast", targets=(LINUX, OLD_LINUX), only_binary=frozenset({"fast"}))
    assert not refused.passed
    assert errors(refused) == ["only-binary"]


def test_a_gap_names_what_would_fill_it(yard: Yard) -> None:
    yard.wheel("top", requires=["fast==2.0"])
    yard.wheel("fast", "2.0", tag=TOO_NEW)
    yard.wheel("fast", "2.0", tag="cp312-cp312-manylinux_2_17_aarch64")
    result = yard.build("top", targets=(LINUX, ARM))
    assert not result.passed
    gap = next(finding for finding in result.findings if finding.code == "no-file")
    assert (gap.package, gap.version, gap.target) == ("fast", "2.0", LINUX)
    assert any(name.startswith("fast-2.0-cp312-cp312-manylinux_2_34") for name in gap.instead)
    assert "2.34" in (gap.hint or "")
    assert any("top" in who for who in gap.required_by)
    assert not yard.wheelhouse.exists()


def test_all_gaps_at_once(yard: Yard) -> None:
    for name in ("one", "two", "three"):
        yard.wheel(name, tag="cp312-cp312-win_amd64")
    result = yard.build("one", "two", "three", targets=(LINUX, MAC, WINDOWS))
    gaps = {(finding.package, finding.target) for finding in result.findings if finding.code == "no-file"}
    assert gaps == {(name, target) for name in ("one", "two", "three") for target in (LINUX, MAC)}


def test_no_binary_and_only_binary(yard: Yard) -> None:
    wheel = yard.wheel("fast", "1.0")
    yard.sdist("fast", "1.0")
    yard.sdist("stone", "1.0")
    source = yard.plan("fast", no_binary=frozenset({"fast"}))
    assert source.plan is not None
    assert [type(entry.decision) for entry in source.plan.entries] == [Build]
    everything = yard.plan("fast", "stone", only_binary=frozenset({":all:"}), no_binary=frozenset({"stone"}))
    assert everything.plan is not None
    assert {entry.package.name: type(entry.decision) for entry in everything.plan.entries} == {"fast": Take, "stone": Build}
    assert taken(everything) == {LINUX: {wheel}}


def test_what_lies_in_the_cache_changes_no_answer(yard: Yard) -> None:
    """The loop's later rounds ask the cache first: an older version that lies there must not win over a better one that does not."""
    for version, tag in (("1.0", FITS_BOTH), ("2.0", FITS_BOTH), ("3.0", FITS_NEW)):
        yard.wheel("fast", version, tag=tag, requires=["dep"] if version == "2.0" else [])
    yard.wheel("dep")
    other = BuildOptions(output=yard.project / "other", trial=False)
    proven(yard.build("fast==1.0", targets=(LINUX,), options=other))
    result = yard.build("fast", targets=(LINUX, OLD_LINUX))
    proven(result)
    assert versions(result) == {"fast": "2.0", "dep": "1.0"}
