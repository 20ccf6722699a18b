"""A package registry on loopback: nginx, serving the wheels of a workload, with TLS by an authority made for the run."""

from __future__ import annotations

import contextlib
import hashlib
import html
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.pylock import PackageWheel, Pylock
from packaging.utils import parse_wheel_filename

from bench.measure import public_environment
from hardtack.fetching.download import fetch
from hardtack.fetching.transfer import Wanted
from hardtack.indexing.credentials import Credentials
from hardtack.indexing.http import HttpTransport
from hardtack.indexing.settings import IndexSettings
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.system.files import write_bytes
from hardtack.wheelhouse.manifest import read_manifest
from hardtack.wheelhouse.store import Store

HERE = Path(__file__).parent
TARGETS = ("py311-linux-x86_64", "py312-linux-aarch64", "py312-windows-x86_64")


class Unavailable(Exception):
    """The benchmark cannot run here; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """One wheel of the workload, as the registry has it."""

    filename: str
    project: str
    version: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A running registry. ``authority`` is the PEM file of who signed its certificate."""

    wheels: tuple[Wheel, ...]
    plain: str
    secure: str
    authority: Path

    def url(self, wheel: Wheel) -> str:
        """The wheel's URL, over TLS."""
        return f"{self.secure}/packages/{wheel.filename}"


def prepare(workload: str, data: Path) -> tuple[Wheel, ...]:
    """Have the workload's wheels for this interpreter under ``data``: resolved and downloaded once, kept for the next run."""
    lock = data / f"pylock.{workload.lower()}-{sys.version_info.major}{sys.version_info.minor}.toml"
    packages = data / "www" / "packages"
    if not lock.exists():
        import uv

        data.mkdir(parents=True, exist_ok=True)
        fresh = data / "pylock.new.toml"
        command = [uv.find_uv_bin(), "pip", "compile", str(HERE / "workloads" / f"{workload}.in"), "--only-binary", ":all:"]
        command += ["--python", sys.executable, "--format", "pylock.toml", "--no-header", "-q", "-o", str(fresh)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise Unavailable(f"the workload could not be resolved: {done.stderr.strip()[-500:]}")
        fresh.replace(lock)
    wanted = {}
    for _, choice in Pylock.from_dict(tomllib.loads(lock.read_text())).select():
        if not isinstance(choice, PackageWheel) or choice.url is None:
            raise Unavailable(f"the workload needs more than wheels: {choice}")
        wanted[choice.filename] = Wanted(filename=choice.filename, urls=(choice.url,), sha256=choice.hashes["sha256"], size=choice.size)
    store = Store(data / "files")
    stop = Cancellation()
    with HttpTransport(IndexSettings(indexes=()), Credentials(), stop) as transport:
        fetched = fetch(wanted.values(), transport=transport, store=store, reporter=Reporter(), stop=stop)
    if fetched.failures:
        raise Unavailable("\n".join(str(failure) for failure in fetched.failures))
    packages.mkdir(parents=True, exist_ok=True)
    wheels = []
    for filename, file in ((filename, fetched.files[wish]) for filename, wish in wanted.items()):
        target = packages / filename
        if not target.exists():
            shutil.copyfile(file.path, target)
        name, version, _, _ = parse_wheel_filename(filename)
        wheels.append(Wheel(filename=filename, project=str(name), version=str(version), sha256=file.sha256, size=file.size))
    return tuple(wheels)


def prepare_three(workload: str, data: Path) -> tuple[tuple[Wheel, ...], dict[str, tuple[Wheel, ...]]]:
    """The distinct wheels of the workload for three targets, and each target's own: provisioned once, kept for the next run."""
    folder = data / f"three-{workload.lower()}"
    manifest = folder / "wheelhouse" / "wheelhouse.json"
    if not manifest.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "hardtack", "build", "-r", str(HERE / "workloads" / f"{workload}.in"), "--project", str(folder)]
        command += [part for target in TARGETS for part in ("--target", target)]
        command += ["--cache-dir", str(data), "-o", str(manifest.parent), "--only-binary", ":all:", "--no-trial", "--quiet"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=public_environment())
        if done.returncode:
            raise Unavailable(f"the workload could not be provisioned: {done.stderr.strip()[-500:]}")
    packages = data / "www" / "packages"
    packages.mkdir(parents=True, exist_ok=True)
    wheels = []
    by_target: dict[str, list[Wheel]] = {target: [] for target in TARGETS}
    for row in read_manifest(manifest.read_bytes(), str(manifest)).files:
        wheel = Wheel(filename=row.filename, project=row.name, version=row.version, sha256=row.sha256, size=row.size)
        wheels.append(wheel)
        for target in row.targets:
            by_target[target].append(wheel)
        if not (packages / row.filename).exists():
            shutil.copyfile(manifest.parent / row.path, packages / row.filename)
    return tuple(wheels), {target: tuple(own) for target, own in by_target.items()}


@contextlib.contextmanager
def serving(wheels: tuple[Wheel, ...], data: Path) -> Iterator[Registry]:
    """The registry, for the length of the block. Raises Unavailable where there is no nginx or no way to make a certificate."""
    nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
    if nginx is None:
        raise Unavailable("nginx is not installed (apt-get install nginx)")
    try:
        from tests.support.certificates import Authority
    except ImportError as error:
        raise Unavailable(f"no certificate can be made: {error}") from None
    authority = Authority.make(data / "tls")
    leaf = authority.leaf("127.0.0.1", "localhost")
    pages: dict[str, str] = {}
    for wheel in wheels:
        link = f'<a href="/packages/{html.escape(wheel.filename)}#sha256={wheel.sha256}">{html.escape(wheel.filename)}</a>\n'
        pages[wheel.project] = pages.get(wheel.project, "<!DOCTYPE html>") + link
    for project, page in pages.items():
        write_bytes(data / "www" / "simple" / project / "index.html", page.encode())
    plain, secure = _free_port(), _free_port()
    folder = data / "nginx"
    folder.mkdir(exist_ok=True)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    # As root, nginx would serve as a user who may not see the folder.
    user = f"user {_user()};\n" if os.geteuid() == 0 else ""
    configuration = f"""{user}worker_processes 2;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
access_log off;
{temporary}types {{ text/html html; }}
default_type application/octet-stream;
sendfile on;
keepalive_requests 100000;
server {{
  listen 127.0.0.1:{plain};
  listen 127.0.0.1:{secure} ssl http2;
  ssl_certificate {leaf.certificate};
  ssl_certificate_key {leaf.key};
  root {data / "www"};
}}
}}
"""
    write_bytes(folder / "nginx.conf", configuration.encode())
    with open(folder / "output", "wb") as output:
        process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(folder / "nginx.conf")], stdout=output, stderr=output)
    try:
        _wait_for(secure, process, folder)
        yield Registry(wheels=wheels, plain=f"http://127.0.0.1:{plain}", secure=f"https://127.0.0.1:{secure}", authority=authority.ca_file)
    finally:
        process.terminate()
        process.wait(10)


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise Unavailable(f"nginx does not start: {(folder / 'output').read_text(errors='replace')[-500:]}")


def check_wheels(wheels: tuple[Wheel, ...], folder: Path) -> None:
    """Raises RuntimeError unless every wheel is in the folder, whole."""
    for wheel in wheels:
        path = folder / wheel.filename
        if not path.exists() or path.stat().st_size != wheel.size:
            raise RuntimeError(f"{wheel.filename} did not arrive whole")
        with open(path, "rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != wheel.sha256:
                raise RuntimeError(f"{wheel.filename} is not what it should be")
