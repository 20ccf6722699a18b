"""Build backends that answer with something else than the one wheel of the project that is built (PEP 517).

``make`` gives Python that is appended to an honest in-tree backend (see tests/building/projects.py). Those of tests/building/test_build.py
are part of the corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.building.test_build import BAD_ANSWERS, WRONG
from tests.corpus.case import Case, bad, good

_PUT = "def build_wheel(d, *_):\n    import io, zipfile, shutil\n    path = os.path.join(d, wheel_name())\n    write_wheel(path)\n"
_WHEEL = {
    "a script that is the interpreter": "    zipfile.ZipFile(path, 'a').writestr('mini-1.0.data/scripts/python3', 'x')\n",
    "a member that RECORD does not list": "    zipfile.ZipFile(path, 'a').writestr('hidden.py', 'x')\n",
    "a member that climbs out": "    zipfile.ZipFile(path, 'a').writestr('../hidden.py', 'x')\n",
    "a member twice": "    import warnings; warnings.simplefilter('ignore')\n    zipfile.ZipFile(path, 'a').writestr('mini.py', 'x')\n",
    "bytes before the archive": "    data = open(path, 'rb').read()\n    open(path, 'wb').write(b'#!/bin/sh\\n' + data)\n",
    "bytes after the archive": "    open(path, 'ab').write(b'more')\n",
    "cut off": "    open(path, 'r+b').truncate(200)\n",
    "nothing in it": "    zipfile.ZipFile(path, 'w').close()\n",
    "a source archive": "    import tarfile\n    tarfile.open(path, 'w:gz').close()\n",
    "ten thousand links to it": "    for n in range(50): os.symlink(path, path + '.%d.whl' % n)\n",
}
_NAMES = {
    "a name in another folder": "'sub/' + wheel_name()",
    "a name of two lines": "wheel_name() + '\\n'",
    "a name with NUL": "wheel_name() + '\\0'",
    "a name with half a surrogate pair": "wheel_name() + '\\ud800'",
    "a name of a megabyte": "'x' * 1000000",
    "the folder above": "'..'",
    "a device": "'/dev/zero'",
    "bytes": "wheel_name().encode()",
    "a list": "[wheel_name()]",
    "infinity": "float('inf')",
}


def backends() -> Iterator[Case]:
    """All of them."""
    for label, more in {**WRONG, **BAD_ANSWERS}.items():
        yield bad("backend", label, "the one wheel returned, by its name, with the project's metadata (PEP 517)", partial(more.encode))
    for label, more in _WHEEL.items():
        yield bad(
            "backend",
            label,
            "the wheel is held to what any wheel is held to (PEP 427)",
            partial(f"{_PUT}{more}    return wheel_name()\n".encode),
        )
    for label, more in _NAMES.items():
        yield bad("backend", label, "the basename of the one wheel (PEP 517)", partial(f"{_PUT}    return {more}\n".encode))
    yield good("backend", "honest", "a wheel of the project", partial(bytes))
    yield good(
        "backend", "talkative", "what it prints is no answer", partial(b"print('x' * 100000)\nsys.stderr.write('\\x1b[2J')\n".__add__, b"")
    )
