"""Files against what is listed, locked and stated by the user; versions that differ between targets."""

from __future__ import annotations

from dataclasses import replace

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.lock import Lock, LockedFile, LockedPackage, Skew
from hardtack.model.manifest import ManifestFile, Pin
from hardtack.model.requirements import Origin, RootRequirement
from hardtack.model.wheel import BadWheel, WheelFacts
from hardtack.planning.plan import plan
from hardtack.targets.catalog import parse_target
from hardtack.verifying.integrity import check_downgrades, check_files, check_user_hashes
from hardtack.verifying.skew import note_skews
from tests.verifying.world import facts, pins

LINUX = parse_target("py312-linux-x86_64")
WINDOWS = parse_target("py312-windows-x86_64")
COMPILED = "cp312-cp312-manylinux_2_17_x86_64"


def listed(wheel: WheelFacts, **fields: object) -> ManifestFile:
    stated: dict[str, object] = {
        "filename": wheel.filename,
        "path": wheel.filename,
        "sha256": wheel.sha256,
        "size": wheel.size,
        "name": wheel.name,
        "version": str(wheel.version),
        "targets": (LINUX.name,),
        "origin": "https://files.example/",
    }
    return ManifestFile(**{**stated, **fields})  # type: ignore[arg-type]


def locked(*wheels: WheelFacts, **fields: object) -> Lock:
    plain = [LockedFile(filename=wheel.filename, url="https://files.example/", sha256=wheel.sha256) for wheel in wheels]
    files = tuple(replace(file, **fields) for file in plain)  # type: ignore[arg-type]
    return Lock(packages=(LockedPackage(name=wheels[0].name, version=wheels[0].version, wheels=files),))


A = facts("a", tag=COMPILED)


def codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings]


def test_what_is_as_listed_has_no_finding() -> None:
    assert check_files([listed(A)], {A.filename: A}, targets=[LINUX], lock=locked(A)) == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sha256": "1" * 64}, "hash-mismatch"),
        ({"size": 99}, "size-mismatch"),
        ({"name": "b"}, "name-mismatch"),
        ({"version": "1.1"}, "version-mismatch"),
        ({"targets": (WINDOWS.name,)}, "tags"),
        ({"path": "elsewhere.whl"}, "absent"),
    ],
)
def test_each_difference_is_found(change: dict[str, object], code: str) -> None:
    found = check_files([listed(A, **change)], {A.filename: A}, targets=[LINUX, WINDOWS])
    assert code in codes(found)
    assert all(finding.hint for finding in found)


def test_a_version_written_otherwise_is_the_same() -> None:
    assert check_files([listed(A, version="1.0.0", name="A")], {A.filename: A}, targets=[LINUX]) == ()


def test_bad_wheels_speak_for_themselves() -> None:
    bad = BadWheel(filename=A.filename, sha256=A.sha256, findings=(Finding(code="record", message="a member is not in RECORD"),))
    assert codes(check_files([listed(A)], {A.filename: bad})) == ["record"]


def test_against_the_lock() -> None:
    found = {A.filename: A}
    assert codes(check_files([listed(A)], found, lock=locked(A, sha256="2" * 64))) == ["hash-mismatch"]
    assert codes(check_files([listed(A)], found, lock=locked(facts("b")))) == ["not-in-lock"]
    assert check_files([listed(A, origin="built")], found, lock=locked(facts("b"))) == ()
    assert check_files([listed(A)], found, lock=locked(A, sha256=None)) == ()


def test_unlisted_left_over_and_twice() -> None:
    other = facts("a")
    stray = facts("stray")
    found = check_files([listed(A)], {A.filename: A, "z.whl": stray, "y.whl": stray}, leftovers={"y.whl"})
    assert [(finding.code, finding.severity) for finding in found] == [("leftover", Severity.NOTE), ("unlisted", Severity.WARNING)]
    # Of a version that is listed an installer may take either wheel, whoever left the other there.
    rivals = check_files([listed(A)], {A.filename: A, "z.whl": other, "y.whl": other}, leftovers={"y.whl"})
    assert [(finding.code, finding.severity) for finding in rivals] == [("rival", Severity.ERROR)] * 2
    twice = check_files([listed(A), listed(other)], {A.filename: A, other.filename: other})
    assert codes(twice) == ["duplicate"] and twice[0].target == LINUX.name
    assert check_files([listed(A), listed(other, targets=(WINDOWS.name,))], {A.filename: A, other.filename: other}) == ()


def root(text: str, *hashes: str) -> RootRequirement:
    return RootRequirement(requirement=Requirement(text), origin=Origin(place="requirements.txt", line=3), hashes=frozenset(hashes))


class TestHashesOfTheUser:
    """E10: a resolver may pass over a wrong ``--hash`` and write the index's digests."""

    def test_wrong_ones_are_found(self) -> None:
        (finding,) = check_user_hashes([root("A==1.0", "sha256:" + "f" * 64)], locked(A))
        assert finding.code == "hash-mismatch" and finding.severity is Severity.ERROR
        assert "requirements.txt:3" in finding.message and A.filename in finding.message

    def test_right_ones_pass(self) -> None:
        assert check_user_hashes([root("a==1.0", "sha256:" + "F" * 64, "sha256:" + A.sha256)], locked(A)) == ()
        assert check_user_hashes([root("a==1.0")], locked(A)) == ()
        assert check_user_hashes([root("b", "sha256:" + "f" * 64)], locked(A)) == ()

    def test_what_is_taken_must_match(self) -> None:
        """The user may know the digest of one platform's wheel only; then no other may be taken."""
        lock = Lock(
            packages=(
                LockedPackage(
                    name="a",
                    version=Version("1.0"),
                    wheels=(
                        LockedFile(filename=A.filename, url="", sha256="a" * 64),
                        LockedFile(filename="a-1.0-cp312-cp312-win_amd64.whl", url="", sha256="b" * 64),
                    ),
                ),
            )
        )
        known = [root("a==1.0", "sha256:" + "b" * 64)]
        assert check_user_hashes(known, lock) == ()
        assert check_user_hashes(known, lock, plan(lock, [WINDOWS])) == ()
        assert codes(check_user_hashes(known, lock, plan(lock, [LINUX, WINDOWS]))) == ["hash-mismatch"]

    def test_other_algorithms(self) -> None:
        assert codes(check_user_hashes([root("a", "sha512:" + "0" * 128)], locked(A))) == ["hash-unchecked"]
        assert check_user_hashes([root("a", "sha512:" + "0" * 128)], locked(A, other_hashes=("sha512:" + "0" * 128,))) == ()


def test_a_pure_wheel_in_place_of_a_compiled_one_is_a_downgrade() -> None:
    """E1, seen from the other side."""
    pure = facts("a")
    lock = locked(pure, A, facts("a", tag="cp312-cp312-manylinux_2_34_x86_64"))
    (finding,) = check_downgrades(pins(LINUX.name, pure), lock, [LINUX, WINDOWS])
    assert (finding.code, finding.severity, finding.instead) == ("downgraded", Severity.ERROR, (A.filename,))
    assert check_downgrades(pins(LINUX.name, pure), lock, [LINUX], built={pure.filename}) == ()
    assert check_downgrades(pins(LINUX.name, A), lock, [LINUX]) == ()
    assert check_downgrades(pins(WINDOWS.name, pure), lock, [WINDOWS]) == ()
    older = facts("a", build="1"), facts("a", build="2")
    assert check_downgrades(pins(LINUX.name, older[0]), locked(*older), [LINUX])[0].severity is Severity.WARNING
    built = replace(pins(LINUX.name, pure)[0], filename="a-1.0-py2.py3-none-any.whl")
    assert check_downgrades([built], lock, [LINUX]) == ()


def test_skew_is_noted_with_versions_targets_and_reason() -> None:
    def pin(target: str, version: str, marker: str | None = None) -> Pin:
        return Pin(target=target, name="numpy", version=version, filename="", marker=marker)

    found = note_skews(
        [pin("x", "1.9"), pin("y", "1.10"), pin("z", "1.10")], [Skew(name="numpy", versions=(), reason="no newer wheel for x")]
    )
    assert [(one.code, one.severity, one.message) for one in found] == [
        ("skew", Severity.NOTE, "numpy has 2 versions: 1.10 on y, z; 1.9 on x (no newer wheel for x)")
    ]
    assert note_skews([pin("x", "1.0"), pin("y", "1.0.0")]) == ()
    assert "x where python_full_version" in note_skews([pin("x", "1", 'python_full_version < "3.11.3"'), pin("x", "2")])[0].message
