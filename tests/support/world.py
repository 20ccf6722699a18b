"""A small world of packages on a loopback index, enough for every stage of a run."""

from __future__ import annotations

from tests.support.archives import make_sdist, make_wheel
from tests.support.loopback import LoopbackIndex

LINUX, MACOS, WINDOWS = "py312-linux-x86_64", "py312-macos-arm64", "py312-windows-x86_64"

# A backend that needs nothing from an index.
BACKEND = """\
import base64, hashlib, os, zipfile
{before}

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name = "{name}-{version}-py3-none-any.whl"
    info = "{name}-{version}.dist-info"
    members = {{
        "{name}/__init__.py": b"",
        info + "/METADATA": b"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
        info + "/WHEEL": b"Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = "".join(
        path + ",sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode() + "," + str(len(data)) + "\\n"
        for path, data in members.items()
    )
    members[info + "/RECORD"] = (record + info + "/RECORD,,\\n").encode()
    with zipfile.ZipFile(os.path.join(wheel_directory, name), "w") as archive:
        for path, data in members.items():
            archive.writestr(zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0)), data)
    return name
"""
_PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "{name}"
version = "{version}"
"""


def add_app(index: LoopbackIndex) -> None:
    """``app`` needs ``middle`` and, on Windows, ``paint``; ``middle`` needs ``native``, which has a wheel for each of the three targets."""
    index.add(*make_wheel("app", requires=["middle>=1", "paint; sys_platform == 'win32'"]))
    index.add(*make_wheel("middle", "1.5", requires=["native"]))
    index.add(*make_wheel("paint"))
    for tag in ("cp312-cp312-manylinux_2_17_x86_64", "cp312-cp312-macosx_11_0_arm64", "cp312-cp312-win_amd64"):
        index.add(*make_wheel("native", "2.0", tag=tag, files={"native/data.bin": bytes(range(256)) * 40}))


def add_source(index: LoopbackIndex, name: str = "fromsource", version: str = "1.0", *, before: str = "") -> None:
    """A project that has nothing but an sdist, with a backend of its own; ``before`` runs when the backend is imported."""
    backend = BACKEND.format(name=name, version=version, before=before)
    index.add(
        *make_sdist(
            name,
            version,
            pyproject=_PYPROJECT.format(name=name, version=version),
            files={"backend.py": backend.encode(), f"{name}/__init__.py": b""},
        )
    )
