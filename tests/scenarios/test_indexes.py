"""Several indexes: who is believed, what is pinned where, cpu beside cuda, files whose digest nobody states."""

from __future__ import annotations

import shutil
import sys

import pytest

from hardtack import BuildOptions, IndexFlags
from hardtack.errors import IndexFault
from hardtack.model.finding import Severity
from tests.scenarios.yard import LINUX, MAC, WINDOWS, Yard, codes, errors, proven, taken
from tests.support.archives import make_wheel, sha256
from tests.support.loopback import LoopbackIndex


def flags(*urls: str) -> IndexFlags:
    """The first is asked first; the last is the default."""
    return IndexFlags(index_url=urls[-1], extra_index_urls=urls[:-1], retries=0)


class TestConfusion:
    def test_the_first_index_that_has_it_is_believed(self, yard: Yard, second: LoopbackIndex) -> None:
        """pip takes the highest version of any index: a stranger's corp 99."""
        ours = yard.wheel("corp", "1.0")
        yard.wheel("corp", "99.0", index=second)
        public = yard.wheel("public", "1.0", index=second, requires=["corp"])
        stolen = yard.pip_download("by-pip", "--extra-index-url", second.url, "public")
        assert "corp-99.0-py3-none-any.whl" in stolen
        second.requests.clear()

        result = yard.build("public", indexes=flags(yard.index.url, second.url))
        proven(result)
        assert taken(result) == {LINUX: {ours, public}}
        assert not second.asked("/files/corp")

    def test_even_where_it_has_no_version_that_fits(self, yard: Yard, second: LoopbackIndex) -> None:
        yard.wheel("corp", "1.0")
        yard.wheel("corp", "99.0", index=second)
        with pytest.raises(Exception, match="corp"):
            yard.build("corp>=2", indexes=flags(yard.index.url, second.url))
        assert not second.asked("/files/corp")

    def test_even_where_it_has_no_wheel_for_a_target(self, yard: Yard, second: LoopbackIndex) -> None:
        """The lock loop looks for other versions: not on another index."""
        yard.wheel("corp", "1.0", tag="cp312-cp312-manylinux_2_28_x86_64")
        yard.wheel("corp", "1.1", tag="cp312-cp312-manylinux_2_17_x86_64", index=second)
        result = yard.build("corp", targets=(LINUX, f"{LINUX}-glibc2_17"), indexes=flags(yard.index.url, second.url))
        assert not result.passed
        assert "no-file" in errors(result)
        assert not second.asked("/files/corp")

    def test_a_pin_holds_for_what_nobody_names(self, yard: Yard, second: LoopbackIndex) -> None:
        yard.wheel("corp", "99.0")
        ours = yard.wheel("corp", "1.0", index=second)
        top = yard.wheel("top", requires=["corp"])
        yard.write(
            "hardtack.toml",
            f'[[index]]\nname = "ours"\nurl = "{second.url}"\nexplicit = true\npackages = ["Corp"]\n'
            f'[[index]]\nname = "main"\nurl = "{yard.index.url}"\ndefault = true\n',
        )
        result = yard.build("top", indexes=IndexFlags(retries=0))
        proven(result)
        assert taken(result) == {LINUX: {ours, top}}
        assert not yard.index.asked("/files/corp")
        second.remove(ours)
        shutil.rmtree(yard.cache)
        shutil.rmtree(yard.wheelhouse)
        with pytest.raises(Exception, match="corp"):
            yard.build("top", indexes=IndexFlags(retries=0))
        assert not yard.index.asked("/files/corp")

    def test_an_index_that_refuses_files_is_named(self, yard: Yard) -> None:
        yard.wheel("leaf")
        yard.lock("leaf")
        shutil.rmtree(yard.cache)
        for status in (403, 500):
            yard.index.faults.clear()
            yard.index.fault("files", status=status)
            result = yard.build(files=("pylock.toml",))
            assert not result.passed
            said = next(finding for finding in result.findings if str(status) in finding.message)
            assert said.severity is Severity.ERROR
            assert "127.0.0.1" in said.message
        assert not yard.wheelhouse.exists()


VARIANTS = """\
[project]
name = "proj"
version = "1"
dependencies = ["base"]
[project.optional-dependencies]
cpu = ["torch"]
cuda = ["torch"]
[tool.uv]
conflicts = [[{{ extra = "cpu" }}, {{ extra = "cuda" }}]]
[tool.hardtack.targets.cpu]
platform = "py312-linux-x86_64"
extras = ["cpu"]
indexes = {{ torch = "cpu" }}
[tool.hardtack.targets.gpu]
platform = "py312-linux-x86_64"
extras = ["cuda"]
indexes = {{ torch = "cu128" }}
[[tool.hardtack.index]]
name = "cpu"
url = "{cpu}"
explicit = true
[[tool.hardtack.index]]
name = "cu128"
url = "{cuda}"
explicit = true
[[tool.hardtack.index]]
name = "main"
url = "{main}"
default = true
"""


class TestVariants:
    @pytest.fixture
    def third(self) -> object:
        with LoopbackIndex(json=False) as running:
            yield running

    def test_cpu_and_cuda_in_one_wheelhouse(self, yard: Yard, second: LoopbackIndex, third: LoopbackIndex) -> None:
        """One index states no digests: seen first, recorded, shown, held to; and refused where that is the policy."""
        base = yard.wheel("base")
        tag = "cp312-cp312-manylinux_2_28_x86_64"
        cpu = yard.wheel("torch", "2.9.0+cpu", tag=tag, index=second, requires=["numbers"])
        cuda = yard.wheel("torch", "2.9.0+cu128", tag=tag, index=third, sha256=None, requires=["numbers", "nvidia-x"])
        numbers, nvidia = yard.wheel("numbers"), yard.wheel("nvidia-x")
        yard.wheel("torch", "9.0")
        yard.write("pyproject.toml", VARIANTS.format(cpu=second.url, cuda=third.url, main=yard.index.url))
        none = IndexFlags(retries=0)

        refused = yard.build(
            targets=(), indexes=none, options=BuildOptions(output=yard.wheelhouse, trial=False, require_stated_hashes=True)
        )
        assert not refused.passed
        assert "no-hash" in errors(refused)
        assert not yard.wheelhouse.exists()

        result = yard.build(targets=(), indexes=none)
        proven(result)
        assert taken(result) == {"cpu": {base, cpu, numbers}, "gpu": {base, cuda, numbers, nvidia}}
        assert "first-seen" in codes(result)
        assert next(finding for finding in result.findings if finding.code == "first-seen").message.count("torch") == 1
        digest = sha256(third.files[cuda].data)
        assert digest in (yard.wheelhouse / "requirements.gpu.txt").read_text()
        assert digest not in (yard.wheelhouse / "requirements.cpu.txt").read_text()
        # Both install by the exact list of their own, offline, beside each other in one folder.
        for target, wanted in (("cpu", "2.9.0+cpu"), ("gpu", "2.9.0+cu128")):
            into = yard.home / target
            yard.uv(
                *("pip", "install", "--offline", "--no-index", "--find-links", yard.wheelhouse, "--target", into, "--require-hashes"),
                *("--python", sys.executable, "--python-version", "3.12", "--python-platform", "x86_64-manylinux_2_28", "--no-deps"),
                *("-r", yard.wheelhouse / f"requirements.{target}.txt"),
            )
            assert (into / f"torch-{wanted}.dist-info").is_dir()

    def test_a_digest_that_was_seen_first_is_held_to(self, yard: Yard, third: LoopbackIndex) -> None:
        name = yard.wheel("leaf", index=third, sha256=None)
        yard.wheel("other", index=third, sha256=None)
        first = yard.lock("leaf", indexes=flags(third.url))
        proven(first)
        digest = sha256(third.files[name].data)
        assert digest in (yard.project / "pylock.toml").read_text()
        # Another requirement: locked anew, and the digest is kept.
        second_lock = yard.lock("leaf", "other", indexes=flags(third.url))
        proven(second_lock)
        assert digest in (yard.project / "pylock.toml").read_text()
        kept = {file.filename: file for package in second_lock.lock.packages for file in package.wheels}
        assert kept[name].hash_source == "first-seen"
        refused = yard.build(files=("pylock.toml",), options=BuildOptions(output=yard.wheelhouse, trial=False, require_stated_hashes=True))
        assert "no-hash" in errors(refused)

        third.add(*make_wheel("leaf", files={"leaf/__init__.py": b"version = '6.6'\n"}), sha256=None)
        shutil.rmtree(yard.cache)
        for result in (yard.build(files=("pylock.toml",)), yard.build("leaf", "other", indexes=flags(third.url), options=_into(yard))):
            assert not result.passed
            assert "hash-mismatch" in errors(result)

    def test_first_seen_is_held_to_by_the_next_build_too(self, yard: Yard, third: LoopbackIndex) -> None:
        yard.wheel("leaf", index=third, sha256=None)
        yard.wheel("other", index=third, sha256=None)
        proven(yard.build("leaf", indexes=flags(third.url)))
        third.add(*make_wheel("leaf", files={"leaf/__init__.py": b"version = '6.6'\n"}), sha256=None)
        shutil.rmtree(yard.cache)
        again = yard.build("leaf", "other", indexes=flags(third.url))
        assert not again.passed
        assert "hash-mismatch" in errors(again)


def _into(yard: Yard) -> BuildOptions:
    """Into a wheelhouse whose lock is that of the project."""
    folder = yard.project / "other"
    folder.mkdir(exist_ok=True)
    shutil.copy(yard.project / "pylock.toml", folder)
    return BuildOptions(output=folder, trial=False)


class TestWaivers:
    def test_an_override_is_shown_and_exact_lists_install(self, yard: Yard) -> None:
        top = yard.wheel("top", requires=["leaf<2"])
        yard.wheel("leaf", "1.0")
        new = yard.wheel("leaf", "2.0")
        yard.write("hardtack.toml", 'overrides = ["leaf>=2"]\n')
        result = yard.build("top", targets=("host",), trial=True)
        proven(result)
        (host,) = taken(result)
        assert taken(result) == {host: {top, new}}
        said = [finding for finding in result.findings if finding.code == "waiver"]
        assert said
        assert any("name" in finding.message + (finding.hint or "") for finding in said)
        offline = ("--no-index", "--find-links", yard.wheelhouse)
        assert yard.pip("install", *offline, "--target", yard.home / "a", "top").returncode != 0, "by name"
        exact = ("--no-deps", "--require-hashes", "-r", yard.wheelhouse / f"requirements.{host}.txt")
        yard.pip("install", *offline, *exact, "--target", yard.home / "b", check=True)
        assert (yard.home / "b" / "leaf-2.0.dist-info").is_dir()

    def test_an_exclude_is_shown_and_exact_lists_install(self, yard: Yard) -> None:
        top = yard.wheel("top", requires=["leaf", "heavy>=1"])
        leaf = yard.wheel("leaf")
        yard.write("hardtack.toml", 'excludes = ["Heavy"]\n')
        result = yard.build("top", targets=("host",), trial=True)
        proven(result)
        (host,) = taken(result)
        assert taken(result) == {host: {top, leaf}}
        assert "waiver" in codes(result)
        offline = ("--no-index", "--find-links", yard.wheelhouse)
        assert yard.pip("install", *offline, "--target", yard.home / "a", "top").returncode != 0, "by name"
        yard.pip(
            "install", *offline, "--no-deps", "-r", yard.wheelhouse / f"requirements.{host}.txt", "--target", yard.home / "b", check=True
        )


class TestPlainIndexes:
    @pytest.mark.parametrize("json", [True, False])
    @pytest.mark.parametrize("bare", [True, False])
    def test_html_json_with_and_without_sizes_and_metadata(self, yard: Yard, json: bool, bare: bool) -> None:
        yard.index.json, yard.index.relative = json, bare
        yard.index.pep658 = yard.index.sizes = not bare
        wheels = {yard.wheel("top", requires=["leaf ; sys_platform == 'win32'"]), yard.wheel("leaf", requires_python=">=3.9")}
        result = yard.build("top", targets=(WINDOWS, MAC))
        proven(result)
        assert taken(result) == {WINDOWS: wheels, MAC: {name for name in wheels if name.startswith("top")}}

    def test_a_folder_as_an_index(self, yard: Yard) -> None:
        simple = yard.project / "simple" / "leaf"
        simple.mkdir(parents=True)
        name = yard.wheel("leaf")
        (simple / name).write_bytes(yard.index.files[name].data)
        digest = sha256(yard.index.files[name].data)
        (simple / "index.html").write_text(f'<!DOCTYPE html><html><body><a href="{name}#sha256={digest}">{name}</a></body></html>')
        (simple.parent / "index.html").write_text('<!DOCTYPE html><html><body><a href="leaf/">leaf</a></body></html>')
        result = yard.build("leaf", indexes=IndexFlags(index_url=simple.parent.as_uri()))
        proven(result)
        assert taken(result) == {LINUX: {name}}
        assert not yard.index.requests

    def test_a_login_reaches_neither_lock_nor_wheelhouse(self, yard: Yard) -> None:
        yard.wheel("leaf")
        yard.index.credentials = ("user", "s3cr3t-canary")
        with pytest.raises(IndexFault):
            yard.build("leaf")
        result = yard.build("leaf", indexes=IndexFlags(index_url=yard.index.with_login("user", "s3cr3t-canary")))
        proven(result)
        for path in [*yard.project.rglob("*"), *yard.cache.rglob("*")]:
            if path.is_file():
                assert b"s3cr3t-canary" not in path.read_bytes(), path
