"""A miniature project with a C extension, built by a backend of its own that calls the compiler: no tool between test and ELF file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.building.projects import Source, source

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")

# value() is Python's, and EXTRA stands for what else the module calls of the system.
COMPILED = """
import subprocess, sysconfig

REQUIRES = []
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
NUMBER = "%d%d" % sys.version_info[:2]
MACHINE = os.uname().machine
TAG = "cp" + NUMBER + "-cp" + NUMBER + "-linux_" + MACHINE
HEAD, EXTRA, FLAGS, MORE = "", "", [], {}

CODE = '''
#define PY_SSIZE_T_CLEAN
#include <Python.h>
%s
static PyObject *value(PyObject *self, PyObject *ignored) { %s return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"value", value, METH_NOARGS, ""}, {0, 0, 0, 0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_mini", 0, -1, methods};
PyMODINIT_FUNC PyInit__mini(void) { return PyModule_Create(&module); }
'''

def compiled():
    here = os.environ["TMPDIR"]
    with open(os.path.join(here, "mini.c"), "w") as stream:
        stream.write(CODE % (HEAD, EXTRA))
    command = ["cc", "-shared", "-fPIC", "-O1", "-I" + sysconfig.get_path("include"), "mini.c", "-o", "mini.so"]
    subprocess.check_call(command + FLAGS, cwd=here)
    with open(os.path.join(here, "mini.so"), "rb") as stream:
        return stream.read()

def write_wheel(path, name=None, version=None, tag=None):
    info = "%s-%s.dist-info" % (NAME, VERSION)
    tags = (tag or TAG).split("-")
    members = {
        "mini.py": b"from _mini import value\\n",
        "_mini" + SUFFIX: compiled(),
        info + "/METADATA": metadata().encode(),
        info + "/WHEEL": ("Wheel-Version: 1.0\\nGenerator: mini\\nRoot-Is-Purelib: false\\n" + "".join(
            "Tag: %s-%s-%s\\n" % (p, a, m) for p in tags[0].split(".") for a in tags[1].split(".") for m in tags[2].split("."))).encode(),
    }
    members.update(MORE)
    record = ["%s,sha256=%s,%d" % (n, digest(d), len(d)) for n, d in members.items()] + [info + "/RECORD,,"]
    members[info + "/RECORD"] = ("\\n".join(record) + "\\n").encode()
    date = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for n, d in members.items():
            entry = zipfile.ZipInfo(n, date)
            entry.external_attr = (0o100755 if n.endswith(".so") else 0o100644) << 16
            archive.writestr(entry, d)
"""


def compiled_source(folder: Path, more: str = "", **options: object) -> Source:
    """The project's source archive, with ``more`` Python at the end of its backend."""
    return source(folder, COMPILED + more, **options)  # type: ignore[arg-type]
