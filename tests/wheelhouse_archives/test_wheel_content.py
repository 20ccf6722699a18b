"""RECORD, METADATA, WHEEL, entry points, schemes: a wheel is what it says it is, and installs nothing but itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from hardtack.model.wheel import WheelFacts
from tests.wheelhouse_archives.judge import errors, judge_wheel, warnings
from tests.wheelhouse_archives.raw_zip import FILENAME, INFO, METADATA, WHEEL, digest, members_of, record_of, wheel_files, write_zip

OWN = f"{INFO}/RECORD,,\n"
FILES = wheel_files(record=None)
RIGHT = record_of(FILES)
INIT = b"answer = 42\n"
LINE = f"demo/__init__.py,{digest(INIT)},12\n"


def judged(folder: Path, files: dict[str, bytes], filename: str = FILENAME) -> set[str]:
    return errors(judge_wheel(folder, write_zip(members_of(files)), filename))


assert LINE in RIGHT

RECORDS = {
    "missing": (None, {"record"}),
    "empty": ("", {"record"}),
    "not UTF-8": ("\udcff", {"record"}),
    "a file that is not listed": (RIGHT.replace(LINE, ""), {"record"}),
    "a file that is not there": (RIGHT + f"demo/ghost.py,{digest(b'')},0\n", {"record"}),
    "a path outside": (RIGHT + f"../../../x,{digest(b'')},0\n", {"record"}),
    "an absolute path": (RIGHT + f"/etc/passwd,{digest(b'')},0\n", {"record"}),
    "one file twice, same": (RIGHT + LINE, {"record"}),
    "one file twice, other hash": (RIGHT + f"demo/__init__.py,{digest(b'')},12\n", {"record"}),
    "other spelling of a path": (RIGHT.replace("demo/__init__", "demo/./__init__"), {"record"}),
    "other case": (RIGHT.replace("demo/__init__", "Demo/__init__"), {"record"}),
    "backslashes": (RIGHT.replace("demo/__init__", "demo\\__init__"), {"record"}),
    "another hash": (RIGHT.replace(digest(INIT), digest(b"x")), {"record-hash"}),
    "another size": (RIGHT.replace(",12\n", ",13\n"), {"record"}),
    "a size that is none": (RIGHT.replace(",12\n", ",twelve\n"), {"record"}),
    "a negative size": (RIGHT.replace(",12\n", ",-12\n"), {"record"}),
    "no hash": (RIGHT.replace(digest(INIT), ""), {"record-hash"}),
    "md5": (RIGHT.replace(digest(INIT), digest(INIT, "md5")), {"record-hash"}),
    "sha1": (RIGHT.replace(digest(INIT), digest(INIT, "sha1")), {"record-hash"}),
    "sha224": (RIGHT.replace(digest(INIT), digest(INIT, "sha224")), {"record-hash"}),
    "an unknown algorithm": (RIGHT.replace(digest(INIT), "rot13=abcd"), {"record-hash"}),
    "a short digest": (RIGHT.replace(digest(INIT), digest(INIT)[:-4]), {"record-hash"}),
    "a digest in hexadecimal": (RIGHT.replace(digest(INIT), "sha256=" + "ab" * 32), {"record-hash"}),
    "a hash of itself": (RIGHT.replace(OWN, f"{INFO}/RECORD,{digest(b'')},1\n"), {"record-hash"}),
    "two fields": (RIGHT + "demo/x\n", {"record"}),
    "four fields": (RIGHT.replace(",12\n", ",12,\n"), {"record"}),
    "a quote that does not close": (RIGHT + '"demo/x', {"record"}),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_wrong_record_is_refused(name: str, tmp_path: Path) -> None:
    text, codes = RECORDS[name]
    files = dict(FILES)
    if text is not None:
        files[f"{INFO}/RECORD"] = text.encode("utf-8", "surrogateescape")
    assert judged(tmp_path, files) & codes == codes


@pytest.mark.parametrize(
    "text",
    [
        RIGHT,
        RIGHT.replace("\n", "\r\n"),
        RIGHT.replace(digest(INIT), digest(INIT, "sha512")),
        RIGHT.replace(digest(INIT), digest(INIT) + "="),
        RIGHT.replace("demo/__init__.py", '"demo/__init__.py"'),
        RIGHT.replace(",12\n", ",\n"),
        RIGHT + "\n",
        RIGHT.replace(OWN, ""),
    ],
    ids=["as usual", "crlf", "sha512", "padded", "quoted", "no size", "blank line", "does not list itself"],
)
def test_records_that_are_right(text: str, tmp_path: Path) -> None:
    assert judged(tmp_path, {**FILES, f"{INFO}/RECORD": text.encode()}) == set()


def test_signatures_of_record_need_no_hash(tmp_path: Path) -> None:
    signed = {**FILES, f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b"x"}
    assert judged(tmp_path, {**signed, f"{INFO}/RECORD": RIGHT.encode()}) == set()
    assert judged(tmp_path, {**signed, f"{INFO}/RECORD": (RIGHT + f"{INFO}/RECORD.jws,,\n").encode()}) == set()


def test_a_comma_in_a_name_is_quoted(tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files({"demo/a,b.txt": b"x"})) == set()


METADATAS = {
    "missing": (None, "metadata"),
    "empty": ("", "metadata"),
    "another name": (METADATA.replace("demo", "requests"), "metadata-name"),
    "another version": (METADATA.replace("1.0", "1.1"), "metadata-name"),
    "no name": (METADATA.replace("Name: demo\n", ""), "metadata"),
    "two names": (METADATA + "Name: other\n", "metadata"),
    "the same name twice": (METADATA + "Name: demo\n", "metadata"),
    "a name below the description": ("Metadata-Version: 2.1\nVersion: 1.0\n\nName: demo\n", "metadata"),
    "an impossible name": (METADATA.replace("demo", "-demo-"), "metadata"),
    "a folded name": (METADATA.replace("demo", "demo\n other"), "metadata"),
    "no version": (METADATA.replace("Version: 1.0\n", "", 2), "metadata"),
    "a version that is none": (METADATA.replace("Version: 1.0", "Version: one"), "metadata"),
    "a version without end": (METADATA.replace("Version: 1.0", "Version: " + "9" * 5000), "metadata"),
    "no metadata version": (METADATA.replace("Metadata-Version: 2.1\n", ""), "metadata"),
    "metadata of the future": (METADATA.replace("2.1", "3.0"), "metadata"),
    "a requirement that is none": (METADATA + "Requires-Dist: foo >>> 1\n", "metadata"),
    "a marker that is none": (METADATA + "Requires-Dist: foo; nonsense == 1\n", "metadata"),
    "a requirement without end": (METADATA + "Requires-Dist: foo>=" + "9" * 5000 + "\n", "metadata"),
    "a marker without end": (METADATA + "Requires-Dist: foo; " + "(" * 8000 + "\n", "metadata"),
    "a Requires-Python that is none": (METADATA + "Requires-Python: three\n", "metadata"),
    "two Requires-Python": (METADATA + "Requires-Python: >=3\nRequires-Python: >=2\n", "metadata"),
    "a NUL byte": (METADATA + "Summary: a\0b\n", "metadata"),
    "a line that continues nothing": (" x\n" + METADATA, "metadata"),
}


@pytest.mark.parametrize("name", METADATAS)
def test_wrong_metadata_is_refused(name: str, tmp_path: Path) -> None:
    text, code = METADATAS[name]
    assert judged(tmp_path, wheel_files(metadata=text)) == {code}


WHEELS = {
    "missing": None,
    "empty": "",
    "no version": WHEEL.replace("Wheel-Version: 1.0\n", ""),
    "two versions": WHEEL + "Wheel-Version: 1.0\n",
    "a version of the future": WHEEL.replace("1.0", "2.0"),
    "a version that is none": WHEEL.replace("1.0", "one"),
    "another platform": WHEEL.replace("py3-none-any", "cp39-cp39-win_amd64"),
    "another python": WHEEL.replace("py3-none-any", "py2-none-any"),
}


@pytest.mark.parametrize("name", WHEELS)
def test_a_wrong_wheel_file_is_refused(name: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(wheel=WHEELS[name])) == {"wheel-file"}


@pytest.mark.parametrize(
    "filename", ["demo-1.0-py3-none-macosx_10_13_x86_64.whl", "demo-1.0-py33-none-any.whl", "demo-1.0-cp312-cp312-win_amd64.whl"]
)
def test_a_wheel_that_was_retagged_for_less_is_accepted(filename: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(), filename) == set()


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        (WHEEL.replace("1.0", "1.9"), True),
        (WHEEL.replace("Tag: py3-none-any\n", ""), True),
        (WHEEL + "Tag: py2-none-any\n", True),
        (WHEEL.replace("\n", "\r\n"), False),
        (WHEEL.replace("Root-Is-Purelib: true\n", ""), True),
        (WHEEL.replace("true", "false"), False),
    ],
)
def test_wheel_files_that_are_borne(text: str, warned: bool, tmp_path: Path) -> None:
    verdict = judge_wheel(tmp_path, write_zip(members_of(wheel_files(wheel=text))), FILENAME)
    assert errors(verdict) == set()
    assert warnings(verdict) == ({"wheel-file"} if warned else set())


DIST_INFOS: dict[str, dict[str, bytes]] = {
    "two": {"other-1.0.dist-info/METADATA": b""},
    "two that differ in case": {"DEMO-1.0.DIST-INFO/METADATA": b"", "demo/x": b""},
    "another by way of purelib": {"demo-1.0.data/purelib/other-1.0.dist-info/METADATA": b""},
    "two data folders": {"demo-1.0.data/scripts/a": b"", "other-1.0.data/scripts/b": b""},
    "data of another package": {"other-1.0.data/scripts/b": b""},
    "data of another version": {"demo-1.1.data/scripts/b": b""},
}


@pytest.mark.parametrize("name", DIST_INFOS)
def test_metadata_of_others_is_refused(name: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(DIST_INFOS[name])) >= {"dist-info"}


@pytest.mark.parametrize("info", ["other-1.0.dist-info", "demo-2.0.dist-info", "demo.dist-info", "demo-1.0-1.dist-info"])
def test_a_dist_info_folder_of_another_name_is_refused(info: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(info=info)) == {"dist-info"}


@pytest.mark.parametrize("info", ["Demo-1.0.dist-info", "demo-1.0.0.dist-info", "DEMO-1.dist-info"])
def test_a_dist_info_folder_of_an_equal_name_is_accepted(info: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(info=info)) == set()


def test_no_dist_info_at_all(tmp_path: Path) -> None:
    assert judged(tmp_path, {"demo/__init__.py": INIT}) == {"dist-info"}


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("scripts/python", "script-name"),
        ("scripts/python3", "script-name"),
        ("scripts/Python3.12", "script-name"),
        ("scripts/python.exe", "script-name"),
        ("scripts/pythonw.exe", "script-name"),
        ("scripts/pypy3", "script-name"),
        ("scripts/python3.13t", "script-name"),
        ("data/bin/python3", "script-name"),
        ("data/Scripts/python.exe", "script-name"),
        ("data/pyvenv.cfg", "script-name"),
        ("data/python.exe", "script-name"),
        ("nonsense/x", "data-scheme"),
        ("x", "data-scheme"),
        ("Purelib/x", "data-scheme"),
        ("purelib/demo/__init__.py", "zip-collision"),
        ("purelib/DEMO/__init__.py", "zip-collision"),
        ("purelib/x-1.data/scripts/python", "dist-info"),
    ],
)
def test_data_that_lands_where_it_must_not(path: str, code: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files({f"demo-1.0.data/{path}": b"x"})) == {code}


def test_one_file_by_way_of_two_schemes_is_refused(tmp_path: Path) -> None:
    files = {"demo-1.0.data/purelib/demo/x.py": b"1", "demo-1.0.data/platlib/demo/x.py": b"2"}
    assert judged(tmp_path, wheel_files(files)) == {"zip-collision"}


@pytest.mark.parametrize(
    "path", ["scripts/demo", "scripts/python-demo", "data/share/demo/x", "headers/demo.h", "platlib/demo/y.py", "purelib/z.py"]
)
def test_data_that_is_fine(path: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files({f"demo-1.0.data/{path}": b"x"})) == set()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("[console_scripts]\n../../x = m:f\n", "script-name"),
        ("[console_scripts]\na/b = m:f\n", "script-name"),
        ("[gui_scripts]\n..\\x = m:f\n", "script-name"),
        ("[console_scripts]\npython = m:f\n", "script-name"),
        ("[gui_scripts]\nPythonW = m:f\n", "script-name"),
        ("[console_scripts]\nnul = m:f\n", "script-name"),
        ("[console_scripts]\n.. = m:f\n", "script-name"),
        ("[console_scripts]\na\x1b[2J = m:f\n", "script-name"),
        ("[console_scripts]\nx = m:f; import os\n", "entry-points"),
        ("[console_scripts]\nx = m\n", "entry-points"),
        ("[console_scripts]\nx = m:f()\n", "entry-points"),
        ("[console_scripts]\nx = import os:f\n", "entry-points"),
        ("[console_scripts]\nx =\n", "entry-points"),
        ("[console_scripts]\nx\n", "entry-points"),
        ("x = m:f\n", "entry-points"),
        ("[console_scripts\nx = m:f\n", "entry-points"),
        ("[]\nx = m:f\n", "entry-points"),
        ("[console_scripts]\n\udcff = m:f\n", "entry-points"),
        ("[console_scripts]\nx = m:f\nx = m:g\n", "entry-points"),
    ],
)
def test_entry_points_that_are_refused(text: str, code: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(entry_points=text)) == {code}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[console_scripts]\nx = m:f\n",
        "[console_scripts]\r\nx=m.n:f.g [extra, more]\r\n; comment\r\n# another\r\n",
        "  [gui_scripts]\n    x.y-z = m:f\n",
        "[pytest11]\nx = m\n[other.group]\ny = any thing\n",
        "[console_scripts]\npython-argcomplete = m:f\nipython = m:f\nname with space = m:f\n",
    ],
)
def test_entry_points_that_are_fine(text: str, tmp_path: Path) -> None:
    assert judged(tmp_path, wheel_files(entry_points=text)) == set()


@pytest.mark.parametrize(
    "path", ["demo.pth", "sitecustomize.py", "demo-1.0.data/purelib/x.pth", "demo-1.0.data/data/lib/python3.12/site-packages/y.pth"]
)
def test_what_runs_at_every_start_is_shown(path: str, tmp_path: Path) -> None:
    verdict = judge_wheel(tmp_path, write_zip(members_of(wheel_files({path: b"import os\n"}))), FILENAME)
    assert errors(verdict) == set()
    assert "start-up-code" in warnings(verdict)


def test_an_origin_that_a_wheel_claims_is_shown(tmp_path: Path) -> None:
    verdict = judge_wheel(tmp_path, write_zip(members_of(wheel_files({f"{INFO}/direct_url.json": b"{}"}))), FILENAME)
    assert warnings(verdict) == {"dist-info"}


def test_the_facts(tmp_path: Path) -> None:
    metadata = (
        "Metadata-Version: 2.4\nName: De.Mo\nVersion: 1.0.0\nSummary: A\n thing\nRequires-Python: >=3.8\nLicense-Expression: MIT\n"
        "Provides-Extra: Some_Extra\nRequires-Dist: Click>=8,\n  <9\n"
        "Requires-Dist: x @ https://example.org/x.whl ; extra == 'some-extra'\n\nName: no\n"
    )
    files = wheel_files(
        {"top.py": b"", "_fast.cpython-312-x86_64-linux-gnu.so": b"", "demo-1.0.data/platlib/plat/a.py": b""}, metadata=metadata
    )
    facts = judge_wheel(tmp_path, write_zip(members_of(files)), "de.mo-1.0-3-py3-none-any.whl")
    # The file name's "de.mo" and .dist-info's "demo" differ: mend the folder's name first.
    assert errors(facts) == {"dist-info"}
    files = wheel_files(
        {"top.py": b"", "_fast.cpython-312-x86_64-linux-gnu.so": b"", "plat/a.py": b""}, metadata=metadata, info="De_Mo-1.dist-info"
    )
    facts = judge_wheel(tmp_path, write_zip(members_of(files)), "de.mo-1.0-3-py3-none-any.whl")
    assert isinstance(facts, WheelFacts), facts
    assert (facts.name, facts.display_name, str(facts.version), facts.build) == ("de-mo", "De.Mo", "1.0.0", (3, ""))
    assert [str(requirement) for requirement in facts.requires] == [
        "Click<9,>=8",
        'x @ https://example.org/x.whl ; extra == "some-extra"',
    ]
    assert facts.url_requirements
    assert (str(facts.requires_python), set(facts.extras), facts.summary, facts.license) == (">=3.8", {"some-extra"}, "A", "MIT")
    assert (facts.pure, facts.modules, {str(tag) for tag in facts.tags}) == (True, ("_fast", "demo", "plat", "top"), {"py3-none-any"})


def test_bytes_of_another_digest_are_refused(tmp_path: Path) -> None:
    from hardtack.wheelhouse.inspect import inspect_wheel

    path = tmp_path / "x"
    path.write_bytes(write_zip(members_of(wheel_files())))
    assert errors(inspect_wheel(path, filename=FILENAME, sha256="0" * 64)) == {"hash-mismatch"}
