"""``verify --env``: real environments, made by uv and by pip, and then tampered with."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hardtack import EnvironmentResult, InputRequest, verify_environment
from hardtack.errors import HardtackError, InputError, UsageError
from hardtack.model.finding import Severity
from tests.scenarios.yard import Yard
from tests.support.loopback import LoopbackIndex
from tests.support.running import traces

_HERE = f"py{sys.version_info[0]}{sys.version_info[1]}"


class Host:
    """A wheelhouse for this host, and an environment that was made from it."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.env = yard.home / "env"
        self.lock = yard.project / "pylock.toml"

    def begin(self) -> None:
        metadata = "Metadata-Version: 2.1\nName: app\nVersion: 1.0\nRequires-Dist: lib\n"
        entry = b"[console_scripts]\napp = app:main\n"
        self.yard.wheel("app", metadata=metadata, files={"app-1.0.dist-info/entry_points.txt": entry, "app/deep/more.py": b"more = 1\n"})
        self.yard.wheel("lib", "2.0")
        assert self.yard.lock("app", targets=("host",)).path == self.lock
        assert self.yard.build("app", targets=("host",)).passed
        self.make("uv")

    def make(self, how: str) -> None:
        links = ("--no-index", "--find-links", self.yard.wheelhouse)
        if how == "target":
            self.yard.pip("install", *links, "--target", self.env, "app", check=True)
        else:
            self.yard.uv("venv", "--python", sys.executable, self.env, "--clear")
            if how == "pip":
                self.yard.pip("--python", self.env, "install", *links, "app", check=True)
            else:
                self.yard.uv("pip", "install", "--python", self.env, *links, "app")

    @property
    def site(self) -> Path:
        return next(self.env.glob("lib/python*/site-packages")) if (self.env / "lib").is_dir() else self.env

    def verify(self, against: str = "wheelhouse", path: Path | None = None, **more: Any) -> EnvironmentResult:
        if against == "wheelhouse":
            more["folder"] = self.yard.wheelhouse
        elif against == "lock":
            more["inputs"] = InputRequest(lock_file=self.lock, project_dir=self.yard.project)
        return verify_environment(path or self.env, cache_dir=self.yard.cache, environment=self.yard.environment, **more)

    def record(self) -> Path:
        return self.site / "app-1.0.dist-info" / "RECORD"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One that nobody touches."""
    folder = tmp_path_factory.mktemp("made")
    with LoopbackIndex() as index:
        for name in ("project", "home"):
            (folder / name).mkdir()
        host = Host(Yard(project=folder / "project", home=folder / "home", index=index))
        host.begin()
        yield host


@pytest.fixture
def host(made: Host, tmp_path: Path) -> Host:
    """A copy of it, to be harmed."""
    shutil.copytree(made.yard.project, tmp_path / "project")
    (tmp_path / "home").mkdir()
    shutil.copytree(made.env, tmp_path / "home" / "env", symlinks=True)
    return Host(Yard(project=tmp_path / "project", home=tmp_path / "home", index=made.yard.index))


def told(result: EnvironmentResult) -> set[tuple[str, str | None]]:
    """(code, package) of everything but notes."""
    found = {(finding.code, finding.package) for finding in result.findings if finding.severity is not Severity.NOTE}
    assert result.passed == (not any(finding.severity is Severity.ERROR for finding in result.findings))
    return found


@pytest.mark.parametrize("how", ["uv", "pip", "target"])
def test_as_it_was_installed(host: Host, how: str) -> None:
    if how == "target":
        host.env = host.yard.home / "target"
        host.make(how)
        targets: dict[str, Any] = {"targets": ("host",)}
    else:
        if how == "pip":
            host.make(how)
        targets = {}
    before = traces(host.env)
    for against in ("wheelhouse", "lock", "nothing"):
        result = host.verify(against, **(targets if against != "nothing" else {}))
        # pip leaves the RECORD of --target with the places where scripts first were.
        assert told(result) == ({("env-record", "app")} if how == "target" else set()), (against, result.findings)
        assert result.passed
        assert [(row.name, row.installed) for row in result.rows] == [("app", "1.0"), ("lib", "2.0")]
    assert traces(host.env) == before


def _edit_with_record(host: Host) -> None:
    """Whoever changes a file can change the RECORD beside it."""
    path = host.site / "app" / "__init__.py"
    data = b"evil = True\n"
    path.unlink()
    path.write_bytes(data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    lines = [f"app/__init__.py,sha256={digest},{len(data)}" if line.startswith("app/__init__.py,") else line for line in _lines(host)]
    _rewrite(host, lines)


def _add_with_record(host: Host) -> None:
    data = b"evil = True\n"
    (host.site / "app" / "evil.py").write_bytes(data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    _rewrite(host, [*_lines(host), f"app/evil.py,sha256={digest},{len(data)}"])


def _drop_from_record(host: Host) -> None:
    _rewrite(host, [line for line in _lines(host) if not line.startswith("app/deep/")])
    _replace(host.site / "app" / "deep" / "more.py")


def _lines(host: Host) -> list[str]:
    return host.record().read_text().splitlines()


def _rewrite(host: Host, lines: list[str]) -> None:
    host.record().unlink()
    host.record().write_text("\n".join(lines) + "\n")


def _replace(path: Path, data: bytes = b"changed = 1\n") -> None:
    path.unlink()  # it may be one file with uv's cache
    path.write_bytes(data)


def _other_version(host: Host) -> None:
    host.yard.wheel("lib", "1.0")
    host.yard.uv("pip", "install", "--python", host.env, "lib==1.0", "--default-index", host.yard.index.url)


def _more(host: Host) -> None:
    host.yard.wheel("more", "1.0")
    host.yard.uv("pip", "install", "--python", host.env, "more", "--default-index", host.yard.index.url)


def _editable(host: Host) -> None:
    path = host.site / "lib-2.0.dist-info" / "direct_url.json"
    path.write_text(json.dumps({"url": "file:///somewhere", "dir_info": {"editable": True}}))


def _without_record(host: Host) -> None:
    host.record().unlink()


def _leads_out(host: Host) -> None:
    _rewrite(host, [*_lines(host), "../../../../../../../../etc/passwd,sha256=AAAA,1"])


def _absolute(host: Host) -> None:
    _rewrite(host, [*_lines(host), "/etc/passwd,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,1"])


def _without_digests(host: Host) -> None:
    _rewrite(host, [f"{line.split(',')[0]},," for line in _lines(host)])
    _replace(host.site / "app" / "__init__.py")


def _pipe(host: Host) -> None:
    path = host.site / "app" / "__init__.py"
    path.unlink()
    os.mkfifo(path)


def _put(host: Host, name: str, version: str) -> None:
    """One more distribution, that has nothing but its metadata."""
    other = host.site / f"{name}-{version}.dist-info"
    other.mkdir()
    data = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    (other / "METADATA").write_bytes(data)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    (other / "RECORD").write_text(f"{other.name}/METADATA,sha256={digest},{len(data)}\n{other.name}/RECORD,,\n")


TAMPERED: dict[str, tuple[Callable[[Host], object], set[tuple[str, str | None]], set[tuple[str, str | None]]]] = {
    # what is found against the wheelhouse; what by the RECORDs alone
    "changed": (lambda h: _replace(h.site / "app" / "__init__.py"), {("env-changed", "app")}, {("env-changed", "app")}),
    "changed script": (lambda h: _replace(h.env / "bin" / "app"), {("env-changed", "app")}, {("env-changed", "app")}),
    "removed": (lambda h: (h.site / "lib" / "__init__.py").unlink(), {("env-lost", "lib")}, {("env-lost", "lib")}),
    "a pipe instead": (_pipe, {("env-lost", "app")}, {("env-lost", "app")}),
    "changed, and its RECORD too": (_edit_with_record, {("env-changed", "app")}, set()),
    "added, and its RECORD too": (_add_with_record, {("env-changed", "app")}, set()),
    "no longer in its RECORD, and changed": (_drop_from_record, {("env-changed", "app")}, set()),
    "uninstalled": (lambda h: h.yard.uv("pip", "uninstall", "--python", h.env, "lib"), {("env-missing", "lib")}, set()),
    "another version": (_other_version, {("env-version", "lib")}, set()),
    "more": (_more, {("env-extra", "more")}, set()),
    "editable": (_editable, {("env-editable", "lib")}, {("env-editable", "lib")}),
    "no RECORD": (_without_record, {("env-record", "app")}, {("env-record", "app")}),
    "no digest in RECORD, and changed": (_without_digests, {("env-changed", "app"), ("env-record", "app")}, {("env-record", "app")}),
    "an empty RECORD": (lambda h: h.record().write_bytes(b""), {("env-record", "app")}, {("env-record", "app")}),
    "RECORD is no text": (lambda h: h.record().write_bytes(b'\xff\xfe"'), {("env-record", "app")}, {("env-record", "app")}),
    "RECORD cut short": (lambda h: _rewrite(h, _lines(h)[:1]), {("env-record", "app")}, {("env-record", "app")}),
    "a row of RECORD broken": (lambda h: _rewrite(h, [*_lines(h), "app/more.py"]), {("env-record", "app")}, {("env-record", "app")}),
    "RECORD leads out": (_leads_out, {("env-record", "app")}, {("env-record", "app")}),
    "RECORD names another's file": (_absolute, {("env-record", "app")}, {("env-record", "app")}),
    "twice": (lambda h: _put(h, "app", "0.9"), {("env-duplicate", "app")}, {("env-duplicate", "app")}),
    "a .pth": (
        lambda h: (h.site / "evil.pth").write_text("import os; os.system('touch /nowhere')\n"),
        {("env-unowned", None)},
        {("env-unowned", None)},
    ),
    "sitecustomize": (lambda h: (h.site / "sitecustomize.py").write_text(""), {("env-unowned", None)}, {("env-unowned", None)}),
    "a stray file": (lambda h: (h.site / "app" / "stray.txt").write_text(""), set(), set()),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampered(host: Host, what: str) -> None:
    act, by_wheelhouse, by_records = TAMPERED[what]
    act(host)
    found, alone = told(host.verify()), told(host.verify("nothing"))
    if what == "twice":
        # What Python finds first is told by nobody: the other one's version may be what is compared.
        found -= {("env-version", "app")}
    assert found == by_wheelhouse
    assert alone == by_records


def test_a_stray_file_is_a_note(host: Host) -> None:
    (host.site / "app" / "stray.txt").write_text("")
    result = host.verify()
    (finding,) = result.findings
    assert (finding.code, finding.severity) == ("env-unowned", Severity.NOTE) and result.passed
    assert str(finding.file).endswith("app/stray.txt")


def test_nothing_of_it_runs(host: Host) -> None:
    """Not its Python, whatever stands there; not what would run when it starts."""
    mark = host.yard.home / "mark"
    code = f"import pathlib; pathlib.Path({str(mark)!r}).write_text('ran')\n"
    (host.site / "evil.pth").write_text(code)
    (host.site / "sitecustomize.py").write_text(code)
    for name in ("python", "python3"):
        path = host.env / "bin" / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {mark}\n")
        path.chmod(0o755)
    for against in ("wheelhouse", "lock", "nothing"):
        host.verify(against)
    assert not mark.exists()


@pytest.mark.parametrize("way", ["..", "link", "trailing"])
def test_however_it_is_named(host: Host, way: str) -> None:
    """A path that is written another way must not make files look like somebody else's, whom nobody judges."""
    _replace(host.site / "app" / "__init__.py")
    link = host.yard.home / "link"
    link.symlink_to(host.env)
    path = {"..": host.env / ".." / host.env.name, "link": link, "trailing": Path(f"{host.env}/.")}[way]
    assert told(host.verify(path=path)) == {("env-changed", "app")}
    assert told(host.verify("nothing", path=path)) == {("env-changed", "app")}


def test_a_lock_of_uv(host: Host) -> None:
    yard = host.yard
    yard.write("pyproject.toml", "[project]\nname='mine'\nversion='1'\nrequires-python='>=3.11'\ndependencies=['app']\n")
    yard.uv("lock", "--python", sys.executable, "--default-index", yard.index.url)
    inputs = InputRequest(lock_file=yard.project / "uv.lock", project_dir=yard.project, project=False)
    assert told(host.verify("other", inputs=inputs)) == set()
    _other_version(host)
    assert told(host.verify("other", inputs=inputs)) == {("env-version", "lib")}


def test_a_wheelhouse_that_was_changed_is_no_measure(host: Host) -> None:
    wheel = host.yard.wheelhouse / "lib-2.0-py3-none-any.whl"
    _replace(wheel, b"PK")
    assert told(host.verify()) == {("hash-mismatch", "lib")}


def test_a_wheel_that_is_gone_from_the_wheelhouse_is_told(host: Host) -> None:
    (host.yard.wheelhouse / "lib-2.0-py3-none-any.whl").unlink()
    result = host.verify()
    assert told(result) == {("absent", "lib")} and result.passed


def test_the_tools_that_made_it_are_a_note(host: Host) -> None:
    _put(host, "pip", "25.0")
    result = host.verify()
    assert [(finding.code, finding.severity) for finding in result.findings] == [("env-extra", Severity.NOTE)]


def test_questions_that_make_no_sense(host: Host) -> None:
    yard = host.yard
    empty = yard.home / "empty"
    empty.mkdir()
    for path, more, kind in (
        (yard.home / "absent", {}, InputError),
        (empty, {}, InputError),
        (host.env, {"folder": empty}, InputError),
        (host.env, {"folder": yard.wheelhouse, "targets": ("py312-windows-x86_64",)}, UsageError),
        (host.env, {"inputs": InputRequest(requirements=("app",), project_dir=empty)}, UsageError),
        (host.env, {"folder": yard.wheelhouse, "inputs": InputRequest(lock_file=host.lock)}, UsageError),
    ):
        with pytest.raises(kind) as caught:
            host.verify("other", path=path, **more)
        assert isinstance(caught.value, HardtackError) and caught.value.hint
    assert yard.hardtack("verify", "--env", host.env, "--smoke").returncode == 2


def test_another_python_is_no_target_of_it(host: Host) -> None:
    config = host.env / "pyvenv.cfg"
    text = config.read_text()
    site = host.site
    site.parent.rename(site.parent.with_name("python3.9"))
    config.write_text("\n".join(line for line in text.splitlines() if "version" not in line))
    with pytest.raises(UsageError, match="no target"):
        host.verify()
    # By its files alone it can be judged all the same.
    assert host.verify("nothing").passed


def test_what_is_printed(host: Host) -> None:
    yard = host.yard
    done = yard.hardtack("verify", yard.wheelhouse, "--env", host.env)
    assert done.returncode == 0 and "As it should be" in done.stdout and not done.stderr.strip()
    _replace(host.site / "app" / "__init__.py")
    done = yard.hardtack("verify", "--env", host.env)
    assert done.returncode == 1 and "[env-changed]" in done.stderr and "Not as it should be: 1 fault" in done.stdout
    data = json.loads(yard.hardtack("verify", yard.wheelhouse, "--env", host.env, "--json").stdout)
    assert data["passed"] is False and data["against"] == str(yard.wheelhouse) and str(data["target"]).startswith(_HERE)
    assert data["packages"][0] == {"name": "app", "installed": "1.0", "wanted": "1.0"}
    sarif = json.loads(yard.hardtack("verify", "--env", host.env, "--format", "sarif").stdout)
    assert [result["ruleId"] for result in sarif["runs"][0]["results"]] == ["env-changed"]
    assert replace(host.verify(), rows=()).passed is False
