"""``--keep-foreign``: what was copied into the wheelhouse by hand is judged, kept for whom it fits, and may fill a gap; by choice alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardtack import BuildOptions, BuildResult, InputRequest, verify
from hardtack.model.finding import Finding, Severity, Verdict
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard, codes, errors, proven, taken
from tests.support.archives import make_sdist, make_wheel, sha256
from tests.support.world import add_source
from tests.wheelhouse.stowing import tree
from tests.wheelhouse_elf.forge import elf

KEEP = BuildOptions(trial=False, keep_foreign=True)
LINUX_TAG, MAC_TAG = "cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-macosx_11_0_arm64"


def build(yard: Yard, *requirements: str, options: BuildOptions = KEEP, **more: Any) -> BuildResult:
    """``hardtack build --keep-foreign``."""
    return yard.build(*requirements, options=replace(options, output=yard.wheelhouse), **more)


def copy_in(yard: Yard, name: str, version: str = "1.0", *, folder: str = "", **more: Any) -> str:
    """Copy a wheel into the wheelhouse by hand; its file name."""
    filename, data = make_wheel(name, version, **more)
    place = yard.wheelhouse / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / filename).unlink(missing_ok=True)
    (place / filename).write_bytes(data)
    return filename


def of_foreign(result: BuildResult | Verdict) -> list[Finding]:
    return [finding for finding in result.findings if finding.code == "foreign"]


def verified(yard: Yard) -> Verdict:
    return verify(yard.wheelhouse, cache_dir=yard.cache, trial=False, environment=yard.environment).verdict


def listed(result: BuildResult) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Of each wheel in the manifest: its origin, if it is foreign, and its targets."""
    assert result.manifest is not None
    return {
        file.filename: (file.origin if file.origin in ("foreign", "built") else "index", tuple(sorted(file.targets)))
        for file in result.manifest.files
    }


def test_without_the_option_it_is_left_over_and_said(yard: Yard) -> None:
    app = yard.wheel("app")
    extra = copy_in(yard, "extra")
    result = yard.build("app")
    proven(result)
    assert set(listed(result)) == {app}
    assert yard.files() == {app, extra}
    assert [finding.code for finding in verified(yard).findings] == ["unlisted"]


def test_it_is_kept_for_the_targets_that_it_fits(yard: Yard) -> None:
    app = yard.wheel("app")
    extra, other = copy_in(yard, "extra", tag=LINUX_TAG), copy_in(yard, "other")
    result = build(yard, "app", targets=(LINUX, MAC))
    proven(result)
    assert listed(result) == {app: ("index", (LINUX, MAC)), extra: ("foreign", (LINUX,)), other: ("foreign", (LINUX, MAC))}
    assert taken(result) == {LINUX: {app}, MAC: {app}}
    assert {finding.severity for finding in of_foreign(result)} == {Severity.NOTE}
    assert result.manifest is not None
    file = next(file for file in result.manifest.files if file.filename == extra)
    assert (file.sha256, file.hash_source) == (sha256((yard.wheelhouse / extra).read_bytes()), "first-seen")
    verdict = verified(yard)
    assert verdict.passed
    assert {finding.file for finding in of_foreign(verdict)} == {extra, other}
    assert codes(result) == {"foreign"}
    simple = json.loads((yard.wheelhouse / "simple" / "extra" / "index.json").read_text())
    assert [row["filename"] for row in simple["files"]] == [extra]


def test_an_unchanged_run_knows_it_and_a_new_one_is_seen(yard: Yard) -> None:
    yard.wheel("app")
    copy_in(yard, "extra")
    proven(build(yard, "app"))
    before = tree(yard.wheelhouse)
    assert build(yard, "app").unchanged
    more = copy_in(yard, "more")
    again = build(yard, "app")
    proven(again)
    assert more in listed(again)
    after = tree(yard.wheelhouse)
    assert {path: after[path] for path in before if path.endswith(".whl")} == {
        path: seen for path, seen in before.items() if path.endswith(".whl")
    }


def test_it_fills_a_gap_that_nothing_else_serves(yard: Yard) -> None:
    native = yard.wheel("native", tag=LINUX_TAG)
    app = yard.wheel("app", requires=["native"])
    assert errors(build(yard, "app", targets=(LINUX, MAC))) == ["no-file"]
    mine = copy_in(yard, "native", tag=MAC_TAG)
    result = build(yard, "app", targets=(LINUX, MAC))
    proven(result)
    assert taken(result) == {LINUX: {app, native}, MAC: {app, mine}}
    assert listed(result)[mine] == ("foreign", (MAC,))
    (note,) = of_foreign(result)
    assert (note.severity, note.file) == (Severity.NOTE, mine)
    assert "nothing else serves it" in note.message
    assert "first-seen" not in codes(result)  # it is said of foreign wheels in words of their own
    assert sha256((yard.wheelhouse / mine).read_bytes()) in (yard.wheelhouse / f"requirements.{MAC}.txt").read_text()
    assert verified(yard).passed
    assert build(yard, "app", targets=(LINUX, MAC)).unchanged


def test_a_plan_shows_it(yard: Yard) -> None:
    yard.wheel("native", tag=LINUX_TAG)
    mine = copy_in(yard, "native", tag=MAC_TAG)
    result = build(yard, "native", targets=(MAC,), options=replace(KEEP, dry_run=True))
    assert result.passed
    assert taken(result) == {MAC: {mine}}


def test_its_requirements_count_in_the_proof(yard: Yard) -> None:
    yard.wheel("native", tag=LINUX_TAG)
    copy_in(yard, "native", tag=MAC_TAG, requires=["absent-here"])
    result = build(yard, "native", targets=(LINUX, MAC))
    assert errors(result) == ["missing"]
    assert not (yard.wheelhouse / "wheelhouse.json").exists()


@pytest.mark.parametrize("difference", [{"version": "2.0"}, {"name": "natives"}, {"tag": "cp311-cp311-macosx_11_0_arm64"}])
def test_another_version_name_or_tag_fills_nothing(yard: Yard, difference: dict[str, str]) -> None:
    yard.wheel("native", tag=LINUX_TAG)
    copy_in(yard, **{"name": "native", "tag": MAC_TAG, **difference})
    assert "no-file" in errors(build(yard, "native", targets=(LINUX, MAC)))


def test_it_fills_where_a_build_fails_and_not_before_one(yard: Yard) -> None:
    add_source(yard.index, "native")
    mine = copy_in(yard, "native", tag=LINUX_TAG)
    built = build(yard, "native")
    # What is built serves, and the other one fits better: an installer that looks by name would take it.
    assert errors(built) == ["rival"]
    (yard.wheelhouse / mine).unlink()
    yard.index.files.clear()
    add_source(yard.index, "native", version="1.1", before="raise SystemExit('no compiler')")
    mine = copy_in(yard, "native", "1.1", tag=LINUX_TAG)
    result = build(yard, "native")
    proven(result)
    assert taken(result) == {LINUX: {mine}}
    (note,) = of_foreign(result)
    assert "building it failed" in note.message
    assert errors(build(yard, "native", no_binary=frozenset({"native"}))) != []


def test_it_fills_where_a_source_cannot_be_had(yard: Yard) -> None:
    add_source(yard.index, "native")
    assert yard.lock("native", targets=(LINUX, MAC)).passed
    shutil.rmtree(yard.cache)
    yard.index.fault("native-1.0.tar.gz", status=404)
    inputs = InputRequest(project_dir=yard.project, lock_file=yard.project / "pylock.toml")
    assert errors(build(yard, inputs=inputs)) != []
    mine = copy_in(yard, "native", tag=LINUX_TAG)
    # It serves one of the two, and what is wrong is wrong still.
    assert "transfer" in errors(build(yard, inputs=inputs, targets=(LINUX, MAC)))
    result = build(yard, inputs=inputs)
    proven(result)
    assert taken(result) == {LINUX: {mine}}


def test_a_demanded_build_is_not_replaced(yard: Yard) -> None:
    yard.wheel("native", tag=LINUX_TAG)
    copy_in(yard, "native", tag=MAC_TAG)
    result = build(yard, "native", targets=(MAC,), no_binary=frozenset({":all:"}))
    assert errors(result) == ["no-file"]


def test_another_version_is_kept_with_a_warning(yard: Yard) -> None:
    app = yard.wheel("app")
    newer = copy_in(yard, "app", "2.0")
    result = build(yard, "app==1.0")
    proven(result)
    assert set(listed(result)) == {app, newer}
    (warning,) = of_foreign(result)
    assert warning.severity is Severity.WARNING
    assert "app 1.0 is what is provisioned" in warning.message
    assert newer not in (yard.wheelhouse / "constraints.txt").read_text()
    assert verified(yard).passed


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        (LINUX_TAG, "would take it in place of app-1.0-py3-none-any.whl"),
        ("py3-none-any", "other bytes of that name are what is provisioned"),
        ("cp312-cp312-win_amd64", "serves no target"),
    ],
)
def test_a_rival_of_what_is_proven_is_refused(yard: Yard, tag: str, why: str) -> None:
    """Were it kept, or left there, an installer might take it: ``verify`` says the same of such a wheel."""
    yard.wheel("app")
    copy_in(yard, "app", tag=tag, files={"app/mine.py": b""})
    before = tree(yard.wheelhouse)
    result = build(yard, "app")
    assert errors(result) == ["rival"]
    assert why in next(finding.message for finding in result.findings if finding.code == "rival")
    assert tree(yard.wheelhouse) == before


def test_a_lesser_wheel_of_a_version_serves_the_others(yard: Yard) -> None:
    """It fits both targets; where the index's fits better that one is taken, and installers would do so too."""
    own = yard.wheel("native", tag="cp312-cp312-manylinux_2_28_x86_64")
    mine = copy_in(yard, "native", tag=LINUX_TAG)
    old = f"{LINUX}-glibc2_17"
    result = build(yard, "native", targets=(LINUX, old))
    proven(result)
    assert taken(result) == {LINUX: {own}, old: {mine}}
    assert listed(result) == {own: ("index", (LINUX,)), mine: ("foreign", (old,))}
    assert verified(yard).passed


def test_a_bad_one_denies_the_proof_and_is_not_kept(yard: Yard) -> None:
    yard.wheel("app")
    filename = copy_in(yard, "extra")
    data = bytearray((yard.wheelhouse / filename).read_bytes())
    data[len(data) // 2] ^= 0xFF
    (yard.wheelhouse / filename).write_bytes(data)
    result = build(yard, "app")
    assert errors(result)
    assert {finding.file for finding in result.findings if finding.severity is Severity.ERROR} == {filename}
    kept = build(yard, "app", options=replace(KEEP, keep_incomplete=True))
    assert filename not in listed(kept)


@pytest.mark.parametrize("asked", [False, True])
def test_its_machine_code_is_judged(yard: Yard, asked: bool) -> None:
    """Its tags promise glibc 2.17, and its code wants 2.38: the target has 2.28."""
    yard.wheel("app")
    yard.wheel("native", tag=MAC_TAG)
    code = elf(versions={"libc.so.6": ["GLIBC_2.38"]}, symbols={"GLIBC_2.38": "strlcpy"})
    mine = copy_in(yard, "native", tag=LINUX_TAG, files={"native/core.so": code})
    requirements = ("app", "native") if asked else ("app",)
    result = build(yard, *requirements)
    assert errors(result) == ["glibc-floor"]
    assert next(finding.file for finding in result.findings if finding.code == "glibc-floor") == mine
    assert [finding.code for finding in build(yard, *requirements).findings].count("glibc-floor") == 1


def test_what_is_no_wheels_name_or_a_link_is_found(yard: Yard) -> None:
    yard.wheel("app")
    yard.wheelhouse.mkdir()
    (yard.wheelhouse / "whatever.whl").write_bytes(b"")
    (yard.wheelhouse / "extra-1.0-py3-none-any.whl").symlink_to(yard.project / "elsewhere.whl")
    result = build(yard, "app")
    assert {finding.file for finding in result.findings if finding.severity is Severity.ERROR} == {
        "whatever.whl",
        "extra-1.0-py3-none-any.whl",
    }


def test_its_first_digest_holds(yard: Yard) -> None:
    yard.wheel("app")
    filename = copy_in(yard, "extra")
    proven(build(yard, "app"))
    copy_in(yard, "extra", files={"extra/more.py": b""})
    result = build(yard, "app")
    assert errors(result) == ["hash-mismatch"]
    assert "recorded when it was first seen" in next(f.message for f in result.findings if f.code == "hash-mismatch")
    assert [finding.code for finding in verified(yard).findings if finding.severity is Severity.ERROR] == ["hash-mismatch"]
    assert (yard.wheelhouse / filename).exists()


def test_stated_hashes_and_foreign_wheels_exclude_each_other(yard: Yard) -> None:
    yard.wheel("app")
    copy_in(yard, "extra")
    assert errors(build(yard, "app", options=replace(KEEP, require_stated_hashes=True))) == ["no-hash"]


def test_one_that_fits_no_target_is_not_kept(yard: Yard) -> None:
    app = yard.wheel("app")
    windows = copy_in(yard, "extra", tag="cp312-cp312-win_amd64")
    result = build(yard, "app")
    proven(result)
    assert set(listed(result)) == {app}
    (warning,) = of_foreign(result)
    assert warning.severity is Severity.WARNING
    assert "fits no target" in warning.message
    assert yard.files() == {app, windows}
    proven(build(yard, "app", targets=(LINUX, WINDOWS)))
    assert [finding.code for finding in verified(yard).findings] == ["foreign"]


def test_what_hardtack_left_is_not_foreign(yard: Yard) -> None:
    app, leaf = yard.wheel("app"), yard.wheel("leaf")
    proven(yard.build("app", "leaf"))
    result = build(yard, "app")
    proven(result)
    assert set(listed(result)) == {app}
    assert yard.files() == {app, leaf}


def test_it_is_never_taken_for_our_own_to_remove(yard: Yard) -> None:
    """Once kept, and then not wanted any more: it is the user's still, even where a rival of ours would go."""
    yard.wheel("native", tag=LINUX_TAG)
    mine = copy_in(yard, "native", tag=MAC_TAG)
    proven(build(yard, "native", targets=(LINUX, MAC)))
    proven(yard.build("native"))
    assert mine in yard.files()
    proven(yard.build("native", options=BuildOptions(trial=False, prune=True, output=yard.wheelhouse)))
    assert mine not in yard.files()


def test_prune_spares_what_is_kept(yard: Yard) -> None:
    app = yard.wheel("app")
    extra, windows = copy_in(yard, "extra"), copy_in(yard, "unfit", tag="cp312-cp312-win_amd64")
    proven(build(yard, "app", options=replace(KEEP, prune=True)))
    assert yard.files() == {app, extra}
    assert windows not in yard.files()


def test_in_folders_of_targets_the_folder_says_for_whom(yard: Yard) -> None:
    native = yard.wheel("native", tag=LINUX_TAG)
    mine = copy_in(yard, "native", tag=MAC_TAG, folder=MAC)
    extra = copy_in(yard, "extra", folder=LINUX)
    aside = copy_in(yard, "aside")
    result = build(yard, "native", targets=(LINUX, MAC), options=replace(KEEP, layout="by-target"))
    proven(result)
    assert listed(result) == {native: ("index", (LINUX,)), mine: ("foreign", (MAC,)), extra: ("foreign", (LINUX,))}
    assert {path.relative_to(yard.wheelhouse).as_posix() for path in yard.wheelhouse.rglob("*.whl")} == {
        f"{LINUX}/{native}", f"{MAC}/{mine}", f"{LINUX}/{extra}", aside,
    }  # fmt: skip
    assert sorted(finding.code for finding in verified(yard).findings) == ["foreign", "foreign", "unlisted"]


def test_wheels_downloaded_before_are_those_that_are_taken(yard: Yard) -> None:
    """A folder that pip filled: files of the lock are of the lock, and the rest is foreign."""
    app = yard.wheel("app", requires=["leaf"])
    leaf = yard.wheel("leaf")
    yard.wheelhouse.mkdir()
    for name in (app, leaf):
        (yard.wheelhouse / name).write_bytes(yard.index.files[name].data)
    extra = copy_in(yard, "extra")
    result = build(yard, "app")
    proven(result)
    assert listed(result) == {app: ("index", (LINUX,)), leaf: ("index", (LINUX,)), extra: ("foreign", (LINUX,))}


def test_uv_and_pip_install_what_was_filled(yard: Yard) -> None:
    yard.wheel("app", requires=["native"])
    filename, data = make_sdist(
        "native", metadata="Metadata-Version: 2.2\nName: native\nVersion: 1.0\n", files={"setup.py": b"raise SystemExit(1)"}
    )
    yard.index.add(filename, data)
    copy_in(yard, "native", tag=LINUX_TAG)
    result = build(yard, "app", only_binary=frozenset({":all:"}))
    proven(result)
    words = ["--no-index", "--no-deps", "--require-hashes", "--find-links", ".", "-r", f"requirements.{LINUX}.txt"]
    platform = ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_17_x86_64", "--python-version", "3.12"]
    got = yard.run(
        "python3", "-m", "pip", "download", "-q", "-d", yard.home / "got", "--only-binary", ":all:", *platform, *words,
        cwd=yard.wheelhouse, check=False,
    )  # fmt: skip
    assert got.returncode == 0, got.stderr
    assert {path.name for path in Path(yard.home / "got").iterdir()} == taken(result)[LINUX]


def test_the_command_line_and_the_configuration(yard: Yard) -> None:
    yard.wheel("app")
    extra = copy_in(yard, "extra")
    arguments = ["build", "app", "-t", LINUX, "-i", yard.index.url, "--no-trial", "--json"]
    rows = json.loads(yard.hardtack(*arguments, "--keep-foreign", check=True).stdout)["files"]
    assert {row["filename"]: row["origin"] for row in rows}[extra] == "foreign"
    (yard.wheelhouse / "wheelhouse.json").unlink()
    yard.write("hardtack.toml", "keep-foreign = true\n")
    rows = json.loads(yard.hardtack(*arguments, check=True).stdout)["files"]
    assert {row["filename"]: row["origin"] for row in rows}[extra] == "foreign"
