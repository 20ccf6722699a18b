"""Projects with a backend in their own tree, and git repositories of them, made without the user's git settings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# PEP 517, both hooks, the standard library alone. The version is the text of VERSION, or "git" to ask the repository for it.
BACKEND = """
import base64, hashlib, io, os, pathlib, subprocess, tarfile, tomllib, zipfile

def table():
    return tomllib.loads(pathlib.Path("pyproject.toml").read_text())

def version():
    if os.path.exists("PKG-INFO"):
        return [line[9:] for line in open("PKG-INFO").read().splitlines() if line.startswith("Version: ")][0]
    stated = table()["project"].get("version")
    if stated:
        return stated
    told = os.environ.get("SETUPTOOLS_SCM_PRETEND_VERSION")
    if told:
        return told
    run = lambda *words: subprocess.run(["git", *words], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    tag, distance, commit = run("describe", "--tags", "--long", "--match", "v*").rsplit("-", 2)
    dirty = run("status", "--porcelain", "--untracked-files=no")
    if distance == "0" and not dirty:
        return tag[1:]
    return tag[1:] + ".post" + distance + "+" + commit + (".dirty" if dirty else "")

def requires():
    project = table()["project"]
    if "dependencies" in project.get("dynamic", []):
        return pathlib.Path("needs.txt").read_text().split()
    return project.get("dependencies", [])

def name():
    return table()["project"]["name"].replace("-", "_")

def metadata():
    extras = table()["project"].get("optional-dependencies", {})
    lines = ["Metadata-Version: 2.1", "Name: " + name(), "Version: " + version()]
    lines += ["Requires-Dist: " + text for text in requires()]
    for extra, texts in extras.items():
        lines += ["Provides-Extra: " + extra] + ["Requires-Dist: %s; extra == '%s'" % (text, extra) for text in texts]
    return "\\n".join(lines) + "\\n"

def build_sdist(folder, config_settings=None):
    top = name() + "-" + version()
    with tarfile.open(os.path.join(folder, top + ".tar.gz"), "w:gz") as archive:
        for path in sorted(pathlib.Path(".").rglob("*")):
            if path.is_file() and ".git" not in path.parts and "__pycache__" not in path.parts:
                archive.add(path, top + "/" + path.as_posix())
        data = metadata().encode()
        info = tarfile.TarInfo(top + "/PKG-INFO")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return top + ".tar.gz"

def build_editable(folder, config_settings=None, metadata_directory=None):
    return build_wheel(folder)

def build_wheel(folder, config_settings=None, metadata_directory=None):
    info = name() + "-" + version() + ".dist-info"
    members = {path.as_posix(): path.read_bytes() for path in sorted(pathlib.Path(".").glob("*.txt"))}
    members = {name() + "/" + key: data for key, data in members.items()}
    members[name() + "/__init__.py"] = b""
    members[info + "/METADATA"] = metadata().encode()
    members[info + "/WHEEL"] = b"Wheel-Version: 1.0\\nGenerator: mini\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    digest = lambda data: base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    record = ["%s,sha256=%s,%d" % (key, digest(data), len(data)) for key, data in members.items()] + [info + "/RECORD,,"]
    members[info + "/RECORD"] = ("\\n".join(record) + "\\n").encode()
    wheel = name() + "-" + version() + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        for key, data in members.items():
            archive.writestr(zipfile.ZipInfo(key), data)
    return wheel
"""


def write_project(
    folder: Path,
    name: str,
    *,
    version: str | None = "1.0",
    dependencies: Sequence[str] | None = (),
    more: str = "",
    requires: Sequence[str] = (),
    backend: str = BACKEND,
    files: Mapping[str, str] | None = None,
) -> Path:
    """A project that builds itself. ``version`` None: from its repository; ``dependencies`` None: from needs.txt, by its backend alone."""
    dynamic = [*(["version"] if version is None else []), *(["dependencies"] if dependencies is None else [])]
    lines = ["[build-system]", f"requires = {list(requires)!r}", 'build-backend = "backend"', 'backend-path = ["."]', "[project]"]
    lines += [f'name = "{name}"', 'requires-python = ">=3.11"', f"dynamic = {dynamic!r}"]
    lines += [f'version = "{version}"'] if version is not None else []
    lines += [f"dependencies = {list(dependencies)!r}"] if dependencies is not None else []
    written = {"pyproject.toml": "\n".join(lines) + f"\n{more}\n", "backend.py": backend, **(files or {})}
    for path, text in written.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8")
    return folder


def git(folder: Path, *words: str) -> str:
    """git in ``folder``, as nobody in particular and at a fixed time; its output."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": os.devnull,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_AUTHOR_DATE": "2024-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2024-01-01T00:00:00Z",
    }
    done = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit_all(folder: Path, message: str = "all", *, tag: str | None = None) -> str:
    """Everything in ``folder`` committed (into a new repository, if it is none yet); the full commit."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)
    if tag is not None:
        git(folder, "tag", tag)
    return git(folder, "rev-parse", "HEAD")


def state_of(folder: Path) -> dict[str, tuple[int, int, int, int]]:
    """Every file and folder below with mode, size, time and inode: equal where nothing was touched."""
    found = {}
    for path in sorted([folder, *folder.rglob("*")]):
        seen = path.lstat()
        found[path.relative_to(folder).as_posix()] = (seen.st_mode, seen.st_size, seen.st_mtime_ns, seen.st_ino)
    return found
