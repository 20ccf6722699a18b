"""Merging as values: who has the say, what is joined, and what is never joined."""

from __future__ import annotations

from dataclasses import replace

from packaging.version import Version

from hardtack.model.finding import Severity
from hardtack.model.fit import read_wheel_name
from hardtack.model.lock import Lock, LockedBuild, LockedFile, LockedPackage, LockedRoot, Skew, Waiver
from hardtack.model.manifest import Manifest, ManifestFile, Pin
from hardtack.model.wheel import WheelFacts
from hardtack.targets.catalog import describe, parse_target
from hardtack.workflow.merging import Whole, check_rivals, manifest_of, merged
from hardtack.workflow.merging_files import Held, Piece
from hardtack.workflow.merging_locks import Voice, merged_lock

LINUX, MAC = "py312-linux-x86_64", "py312-macos-arm64"


def facts_of(filename: str, *, sha256: str) -> WheelFacts:
    """The facts of a wheel that asks for nothing."""
    name = read_wheel_name(filename)
    assert name is not None
    return WheelFacts(
        filename=filename,
        sha256=sha256,
        size=1,
        name=name.name,
        version=name.version,
        build=(),
        tags=name.tags,
        requires_python=None,
        requires=(),
        extras=frozenset(),
        display_name=name.name,
    )


def a_file(filename: str, digest: str = "a") -> LockedFile:
    return LockedFile(filename=filename, url=f"https://x.test/{filename}", sha256=digest * 64, hash_source="index")


def a_package(name: str, version: str = "1.0", *wheels: LockedFile, targets: frozenset[str] | None = None) -> LockedPackage:
    files = wheels or (a_file(f"{name}-{version}-py3-none-any.whl"),)
    return LockedPackage(name=name, version=Version(version), wheels=files, targets=targets)


def a_piece(
    place: str,
    *targets: str,
    packages: tuple[LockedPackage, ...] = (),
    roots: tuple[LockedRoot, ...] = (),
    pins: tuple[tuple[str, str, str | None], ...] = (),
    waivers: tuple[Waiver, ...] = (),
    digest: str = "a",
) -> Piece:
    """A wheelhouse of pure wheels of version 1.0: ``pins`` are (target, name, marker)."""
    held = []
    for target, name, marker in pins:
        filename = f"{name}-1.0-py3-none-any.whl"
        facts: WheelFacts = facts_of(filename, sha256=digest * 64)
        file = ManifestFile(
            filename=filename, path=filename, sha256=facts.sha256, size=facts.size, name=name, version="1.0", targets=(target,),
            origin=f"https://x.test/{filename}",
        )  # fmt: skip
        held.append(Held(pin=Pin(target=target, name=name, version="1.0", filename=filename, marker=marker), file=file, facts=facts))
    known = tuple(parse_target(name) for name in targets)
    return Piece(
        place=place,
        manifest=Manifest(
            layout="flat",
            targets={target.name: describe(target) for target in known},
            files=tuple(one.file for one in held),
            pins=tuple(one.pin for one in held),
            roots=roots,
            waivers=waivers,
        ),
        lock=Lock(packages=packages, targets=targets, roots=roots, waivers=waivers),
        targets=known,
        held=tuple(held),
    )


def a_root(text: str, *targets: str, origin: str = "here") -> LockedRoot:
    return LockedRoot(requirement=text, origin=origin, targets=frozenset(targets) if targets else None)


def test_what_one_lock_keeps_to_a_target_stays_there() -> None:
    only_mac = a_package("lib", targets=frozenset({MAC}))
    first = Lock(packages=(a_package("app"), only_mac), targets=(LINUX, MAC))
    other = Lock(packages=(a_package("app"), a_package("lib")), targets=("py312-windows-x86_64", "py313-linux-x86_64"))
    lock, findings = merged_lock(
        [Voice(place="a", lock=first, scope=first.targets), Voice(place="b", lock=other, scope=("py313-linux-x86_64",))]
    )
    assert not findings and lock.targets == (LINUX, MAC, "py313-linux-x86_64")
    assert {package.name: package.targets for package in lock.packages} == {"app": None, "lib": frozenset({MAC, "py313-linux-x86_64"})}


def test_files_of_both_are_joined_and_other_digests_are_a_conflict() -> None:
    linux, mac = a_file("n-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"), a_file("n-1.0-cp312-cp312-macosx_11_0_arm64.whl", "b")
    one, two = Lock(packages=(a_package("n", "1.0", linux),)), Lock(packages=(a_package("n", "1.0", mac, a_file(linux.filename, "c")),))
    lock, findings = merged_lock([Voice(place="a", lock=one, scope=(LINUX,)), Voice(place="b", lock=two, scope=(MAC,))])
    [package] = lock.packages
    assert {wheel.filename: wheel.sha256 for wheel in package.wheels} == {linux.filename: "a" * 64, mac.filename: "b" * 64}
    [finding] = findings
    assert finding.severity is Severity.ERROR and "lock of a" in finding.message and "that of b" in finding.message
    assert "a" * 64 in finding.message and "c" * 64 in finding.message


def test_inputs_that_differ_are_nobodys() -> None:
    for theirs, whole in (("x", "x"), ("y", None), (None, None)):
        voices = [
            Voice(place="a", lock=Lock(packages=(), inputs_digest="x"), scope=(LINUX,)),
            Voice(place="b", lock=Lock(packages=(), inputs_digest=theirs), scope=(MAC,)),
        ]
        assert merged_lock(voices)[0].inputs_digest == whole
        fill = Voice(place="b", lock=Lock(packages=(), inputs_digest=theirs), scope=())
        assert merged_lock([voices[0], fill])[0].inputs_digest == "x"


def test_builds_are_everybodys_each_source_once() -> None:
    def asks(tool: str, *sources: str, environment: str = "e") -> LockedBuild:
        own = tuple((source, "") for source in sources)
        return LockedBuild(environment=environment, requires=("t",), packages=(a_package("t", tool),), sources=own)

    def union(*several: tuple[LockedBuild, ...]) -> tuple[LockedBuild, ...]:
        return merged_lock([Voice(place="", lock=Lock(packages=(), builds=builds), scope=()) for builds in several])[0].builds

    assert union((asks("1", "s"),), (asks("1", "s"),)) == (asks("1", "s"),)
    assert union((asks("1", "s"),), (asks("1", "r"),)) == (asks("1", "s", "r"),)
    assert union((asks("1", "s"),), (asks("2", "s"),)) == (asks("1", "s"),), "the first says what a source is built with"
    assert union((asks("1", "s"),), (asks("2", "s", "r"),)) == (asks("1", "s"), asks("2", "r"))
    assert union((asks("1", "s"),), (asks("2", "s", environment="f"),)) == (asks("1", "s"), asks("2", "s", environment="f"))


def test_roots_are_for_those_who_asked() -> None:
    packages = (a_package("app"), a_package("lib"))
    first = a_piece("a", LINUX, packages=packages, roots=(a_root("app"),))
    whole = merged([first, a_piece("b", MAC, packages=packages, roots=(a_root("app", origin="there"), a_root("lib")))])
    assert whole.lock.roots == (a_root("app"), a_root("lib", MAC))
    same = merged([first, a_piece("b", LINUX, packages=packages, roots=(a_root("app", LINUX),))])
    assert same.lock.roots == (a_root("app"),), "what is said again in other words changes nothing"
    more = merged([first, a_piece("b", LINUX, packages=packages, roots=(a_root("lib>=1"),))])
    assert more.lock.roots == (a_root("app"), a_root("lib>=1")), "a demand is never dropped"
    assert merged([first, a_piece("b", LINUX, packages=packages, roots=(a_root("lib==1.0"),))]).lock.roots == (a_root("app"),)


def test_a_stretch_that_is_half_there_is_not_papered_over() -> None:
    """The lock wants one version on every patch; a part that has it on some is no answer for all."""
    packages = (a_package("app"), a_package("lib"))
    first = a_piece("a", LINUX, packages=packages, roots=(a_root("app"),), pins=((LINUX, "app", None),))
    half = a_piece("b", LINUX, packages=packages, roots=(a_root("app"),), pins=((LINUX, "lib", 'python_full_version >= "3.12.4"'),))
    whole = merged([first, half])
    assert [one.pin.name for one in whole.held] == ["app"]
    [finding] = whole.findings
    assert finding.code == "merge-conflict" and finding.severity is Severity.ERROR and "3.12.4" in finding.message


def test_a_version_that_only_a_part_has_is_among_the_several() -> None:
    newer, windows = "py313-linux-x86_64", "py312-windows-x86_64"
    lib = (a_package("lib", "1.0"), a_package("lib", "2.0"))
    told = Skew(name="lib", versions=(("2.0", (LINUX,)), ("3.0", (newer,))), reason="wheels")
    first = a_piece("a", LINUX, newer, packages=lib[1:])
    first = replace(first, manifest=replace(first.manifest, skews=(told,)))
    pinned = a_piece("c", windows, packages=lib[:1], roots=(a_root("lib"),), pins=((windows, "lib", None),))
    two = a_piece("b", MAC, packages=lib[1:], roots=(a_root("lib"),), pins=((MAC, "lib", None),))
    held = replace(two.held[0], pin=replace(two.held[0].pin, version="2.0", filename="lib-2.0-py3-none-any.whl"),
                   facts=facts_of("lib-2.0-py3-none-any.whl", sha256="b" * 64))  # fmt: skip
    [skew] = merged([first, pinned, replace(two, held=(held,))]).lock.skews
    assert dict(skew.versions) == {"2.0": (LINUX, MAC), "3.0": (newer,), "1.0": (windows,)}
    assert skew.reason == "wheels; these targets were locked apart"


def test_waivers_are_kept_with_those_who_declared_them() -> None:
    waiver = Waiver(kind="exclude", requirement="lib", origin="there")
    whole = merged([a_piece("a", LINUX), a_piece("b", MAC, waivers=(waiver,))])
    assert whole.lock.waivers == (waiver,) and whole.own_waivers == {LINUX: (), MAC: (waiver,)}
    assert merged([a_piece("a", LINUX), a_piece("b", LINUX, waivers=(waiver,))]).lock.waivers == ()


def test_a_better_wheel_that_no_lock_names() -> None:
    pure = facts_of("n-1.0-py3-none-any.whl", sha256="a" * 64)
    abi3 = facts_of("n-1.0-cp39-abi3-manylinux_2_17_x86_64.whl", sha256="b" * 64)

    def held(facts: WheelFacts, target: str) -> Held:
        file = ManifestFile(
            filename=facts.filename,
            path=facts.filename,
            sha256=facts.sha256,
            size=1,
            name="n",
            version="1.0",
            targets=(target,),
            origin="built",
        )
        return Held(pin=Pin(target=target, name="n", version="1.0", filename=facts.filename), file=file, facts=facts)

    newer = "py313-linux-x86_64"
    targets = (parse_target(LINUX), parse_target(newer))
    whole = Whole(
        targets=targets,
        lock=Lock(packages=()),
        held=(held(abi3, LINUX), held(pure, newer)),
        kept=(),
        project=None,
        own_waivers={},
        sources=(),
        brought=(),
        findings=(),
    )
    [finding] = check_rivals(manifest_of(whole, "flat", ()), targets)
    assert (finding.code, finding.severity, finding.target) == ("downgraded", Severity.ERROR, newer)
    assert check_rivals(manifest_of(whole, "by-target", ()), targets) == ()
