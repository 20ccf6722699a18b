"""Row 16: a login that is a canary, given in every way there is, is found nowhere that it does not belong."""

from __future__ import annotations

import base64
import json
import os
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.support.loopback import LoopbackIndex, LoopbackProxy
from tests.support.running import Account, Ran
from tests.support.world import LINUX, add_app, add_source

from bench.promises.figures import Figure, Settings, Tally
from bench.promises.grounds import ended

_USER, _CANARY = "canary-bird", "c4nary/p@ss:w0rd"
# Prints what a build's code can see of any login; it stands in the log and in the wheel.
_SNOOP = """
import glob, os
seen = [str(dict(os.environ))]
for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        seen.append(open(path, "rb").read().decode("latin-1"))
    except OSError:
        pass
print("snooped", seen)
"""


@dataclass(frozen=True, slots=True)
class _Given:
    arguments: Sequence[str] = ()
    variables: Mapping[str, str] = ()  # type: ignore[assignment]


def _in_url(_account: Account, index: LoopbackIndex) -> _Given:
    return _Given(["-i", index.with_login(_USER, _CANARY)], {})


def _in_extra_url(_account: Account, index: LoopbackIndex) -> _Given:
    return _Given(["--extra-index-url", index.with_login(_USER, _CANARY), "-i", f"{index.base}/nothing"], {})


def _in_pip_variable(_account: Account, index: LoopbackIndex) -> _Given:
    return _Given((), {"PIP_INDEX_URL": index.with_login(_USER, _CANARY)})


def _in_uv_variable(_account: Account, index: LoopbackIndex) -> _Given:
    return _Given((), {"UV_DEFAULT_INDEX": index.with_login(_USER, _CANARY)})


def _in_named_variables(account: Account, index: LoopbackIndex) -> _Given:
    account.write("hardtack.toml", f'[[index]]\nname = "corp"\nurl = "{index.url}"\ndefault = true\n')
    return _Given((), {"HARDTACK_INDEX_CORP_USERNAME": _USER, "HARDTACK_INDEX_CORP_PASSWORD": _CANARY})


def _in_requirements(account: Account, index: LoopbackIndex) -> _Given:
    account.write("with-index.txt", "--index-url ${SECRET_INDEX}\n")
    return _Given(["-r", "with-index.txt"], {"SECRET_INDEX": index.with_login(_USER, _CANARY)})


def _in_netrc(account: Account, index: LoopbackIndex) -> _Given:
    place = account.home / ".netrc"
    place.write_text(f"machine 127.0.0.1\nlogin {_USER}\npassword {_CANARY}\n")
    place.chmod(0o600)
    return _Given(["-i", index.url], {})


def _in_keyring(account: Account, index: LoopbackIndex) -> _Given:
    folder = account.home / "bin"
    folder.mkdir()
    program = folder / "keyring"
    # The secret lies outside of what is searched.
    secret = account.home.parent.parent / "keyring-secret"
    secret.write_text(_CANARY)
    program.write_text(
        f"#!{sys.executable}\nimport sys\nprint(open({str(secret)!r}).read()) if sys.argv[-1] == {_USER!r} else sys.exit(1)\n"
    )
    program.chmod(0o755)
    url = index.url.replace("://", f"://{_USER}@")
    return _Given(["-i", url, "--keyring", "subprocess"], {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"})


def _in_find_links(_account: Account, index: LoopbackIndex) -> _Given:
    login = f"{quote(_USER, safe='')}:{quote(_CANARY, safe='')}@"
    return _Given(["-f", index.flat_url.replace("://", f"://{login}"), "--no-index"], {})


_WAYS: dict[str, Callable[[Account, LoopbackIndex], _Given]] = {
    "in the index's URL": _in_url,
    "in an extra index's URL": _in_extra_url,
    "in pip's variable": _in_pip_variable,
    "in uv's variable": _in_uv_variable,
    "in variables of the index's name": _in_named_variables,
    "in a requirements file": _in_requirements,
    "in netrc": _in_netrc,
    "in the keyring": _in_keyring,
    "in a find-links URL": _in_find_links,
}
_FAULTS: dict[str, dict[str, object] | None] = {
    "well": None,
    "refused": {"match": "*", "status": 403},
    "ill": {"match": "middle", "status": 500},
    "lying": {"match": "native-2.0-cp312-cp312-manylinux_2_17_x86_64.whl", "flip_at": 500},
    "sent away": {"match": "files", "redirect": "{other}{path}"},
    "sent in circles": {"match": "app", "redirect": "{path}"},
}


def measure_secrets(settings: Settings) -> Iterator[Figure]:
    """Every way to give a login, with an index that is well or not: what is printed, written and handed to children is searched."""
    tally, away = Tally(), Tally()
    searched = children = 0
    for way, give in _WAYS.items():
        for state, fault in _FAULTS.items():
            with LoopbackIndex(host="localhost") as other, LoopbackIndex(credentials=(_USER, _CANARY)) as index:
                for one in (index, other):
                    add_app(one)
                    add_source(one, before=_SNOOP)
                if fault is not None:
                    settled = {
                        key: value.replace("{other}", other.base) if isinstance(value, str) else value for key, value in fault.items()
                    }
                    index.fault(**settled)  # type: ignore[arg-type]
                found = _searched(settings.folder / f"{_WAYS_ORDER.index(way)}-{state.replace(' ', '-')}", give, index, state)
                searched += found.files
                children += found.children
                tally.expect(not found.hits, f"{way}, {state}: {found.hits[:4]}")
                tally.expect(state != "well" or found.worked, f"{way}, {state}: {found.words}")
                carried = [request.path for request in other.requests if "authorization" in request.headers]
                away.expect(not carried, f"{way}, {state}: {carried[:3]}")
    with LoopbackProxy(credentials=("gatekeeper", _CANARY)) as proxy, LoopbackIndex() as index:
        add_app(index)
        add_source(index, before=_SNOOP)
        given = _Given(["-i", index.url, "--proxy", proxy.with_login("gatekeeper", _CANARY)], {})
        found = _searched(settings.folder / "proxy", lambda _account, _index: given, index, "well")
        searched += found.files
        children += found.children
        tally.expect(not found.hits and found.worked, f"in the proxy's URL: {found.hits[:4]} {found.words}")
    what = (
        f"ways to give a login times states of the index: no hit of a canary in anything printed, in {searched} files written and in the "
        f"environments of {children} children seen"
    )
    yield tally.figure("16", what, f"{tally.tried} of {tally.tried}")
    yield away.figure("16", "of them sent no login to another origin, redirected or not", f"{away.tried} of {away.tried}")


_WAYS_ORDER = tuple(_WAYS)


@dataclass(frozen=True, slots=True)
class _Found:
    hits: list[str]
    files: int
    children: int
    worked: bool
    words: str


def _searched(folder: Path, give: Callable[[Account, LoopbackIndex], _Given], index: LoopbackIndex, state: str) -> _Found:
    """Run the verbs in an account, and search all that came of it."""
    (folder / "tmp").mkdir(parents=True)
    account = Account.make(folder / "account", TMPDIR=str(folder / "tmp"))
    given = give(account, index)
    env = {**dict(given.variables), "HARDTACK_RETRIES": "0", "HARDTACK_TRACEBACK": "1"}
    own = {path for path in folder.rglob("*") if path.is_file()}
    runs: list[Ran] = []
    with _Children(account) as seen:
        wanted = ["app", "fromsource", "-t", LINUX, *given.arguments]
        runs.append(account.run("lock", *wanted, "-vv", "--export", "pip:out-{target}.txt", env=env))
        if state == "well":
            runs.append(account.run("build", *wanted, "--json", "--with-sdists", env=env))
            runs.append(account.run("build", *wanted, "-o", "second", "--with-sdists", "-vv", env=env))
            runs.append(account.run("verify", "wheelhouse", "--json", "--no-trial", env=env))
            runs.append(account.run("diff", "wheelhouse", "second", "--json", env=env))
            runs.append(account.run("build", *wanted, "--offline", "-o", "third", "-v", env=env))
        else:
            runs.append(account.run("build", *wanted, "-vv", env=env))
    hits = [f"run {number}: printed" for number, ran in enumerate(runs) if any(form in (ran.out + ran.err).encode() for form in _FORMS)]
    hits += seen.hits
    files = 0
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path not in own:
            files += 1
            if any(form in data for data in _contents(path) for form in _FORMS):
                hits.append(str(path.relative_to(folder)))
        if any(form in os.fsencode(path.name) for form in _FORMS):
            hits.append(f"the name of {path.relative_to(folder)}")
    worked = all(ran.code == 0 for ran in runs)
    return _Found(hits, files, seen.count, worked, "; ".join(ended(ran) for ran in runs if ran.code))


_PAIR = f"{_USER}:{_CANARY}"
_FORMS = tuple(
    form.encode()
    for form in {
        _CANARY,
        quote(_CANARY, safe=""),
        quote(_CANARY),
        json.dumps(_CANARY)[1:-1],
        base64.b64encode(_PAIR.encode()).decode(),
        base64.b64encode(f"gatekeeper:{_CANARY}".encode()).decode(),
        base64.b64encode(_CANARY.encode()).decode(),
    }
)


def _contents(path: Path) -> Iterator[bytes]:
    """A file's bytes; of an archive, its members' too."""
    yield path.read_bytes()
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                yield archive.read(member)


class _Children:
    """Looks all the time at the environments and arguments of an account's processes; uv alone may know logins, in its environment."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._seen: set[tuple[str, bytes]] = set()
        self.hits: list[str] = []

    @property
    def count(self) -> int:
        """How many different children were seen."""
        return len(self._seen)

    def __enter__(self) -> _Children:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.01):
            for place in Path("/proc").glob("[0-9]*"):
                try:
                    arguments = (place / "cmdline").read_bytes()
                    key = (place.name, arguments)
                    if key in self._seen or str(self._account.home.parent).encode() not in (
                        environment := (place / "environ").read_bytes()
                    ):
                        continue
                except OSError:
                    continue
                self._seen.add(key)
                program = os.path.basename(arguments.partition(b"\0")[0])
                ours = b"-m\0hardtack\0" in arguments  # what the user gave hardtack is there
                if not ours and any(form in arguments for form in _FORMS):
                    self.hits.append(f"the arguments of {program!r}")
                if not ours and program not in (b"uv", b"keyring") and any(form in environment for form in _FORMS):
                    self.hits.append(f"the environment of {program!r}: {arguments[-200:]!r}")
