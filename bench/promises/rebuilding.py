"""Row 25: a named set of real source archives, each built twice."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

from tests.support.running import Account

from bench.promises.figures import Figure, Settings, Unmeasured
from bench.promises.grounds import ended

# Small, of every usual backend, with the versions that were newest or near to it when this list was made.
_NAMED = """\
attrs==25.3.0 blinker==1.9.0 cachetools==5.5.2 certifi==2025.4.26 click==8.1.8 colorama==0.4.6 decorator==5.2.1 defusedxml==0.7.1
distlib==0.3.9 docopt==0.6.2 editables==0.5 exceptiongroup==1.3.0 execnet==2.1.1 filelock==3.18.0 flit-core==3.12.0 h11==0.16.0
hatchling==1.27.0 idna==3.10 iniconfig==2.1.0 installer==0.7.0 itsdangerous==2.2.0 jinja2==3.1.6 jmespath==1.0.1 lark==1.2.2
markdown-it-py==3.0.0 markupsafe==3.0.2 mdurl==0.1.2 more-itertools==10.7.0 packaging==25.0 parso==0.8.4 pathspec==0.12.1
platformdirs==4.3.8 pluggy==1.6.0 poetry-core==2.1.3 ptyprocess==0.7.0 pyasn1==0.6.1 pycparser==2.22 pyparsing==3.2.3
pyproject-hooks==1.2.0 resolvelib==1.1.0 simplejson==3.20.1 six==1.17.0 sniffio==1.3.1 tabulate==0.9.0 termcolor==3.1.0
toml==0.10.2 tomli==2.2.1 tomlkit==0.13.2 typing-extensions==4.13.2 wheel==0.45.1
"""
SDISTS = tuple(_NAMED.split())


def _authorities() -> dict[str, str]:
    """Where this machine is behind a proxy of its own, only this variable knows the certificate."""
    return {name: os.environ[name] for name in ("SSL_CERT_FILE",) if name in os.environ}


def measure_rebuilding(settings: Settings) -> Iterator[Figure]:
    """``hardtack build --build-twice`` of them all at once, for this host."""
    account = Account.make(settings.folder / "rebuilding", TMPDIR=str(settings.folder))
    account.write("fifty.txt", "\n".join(SDISTS) + "\n")
    names = ",".join(text.partition("==")[0] for text in SDISTS)
    more = ["--build-twice", "--no-trial", "--keep-incomplete", "--json"]
    index = {"HARDTACK_INDEX_URL": "https://pypi.org/simple", **_authorities()}
    ran = account.start("build", "-r", "fifty.txt", "-t", "host", "--no-binary", names, *more, env=index).end(timeout=3600)
    place = account.project / "wheelhouse" / "wheelhouse.json"
    if not place.is_file():
        raise Unmeasured(f"nothing was stowed: {ended(ran)} {ran.out[-2000:]}")
    wanted = {text.partition("==")[0] for text in SDISTS}
    records = {row["name"]: row["build"] for row in json.loads(place.read_bytes())["files"] if row.get("build") and row["name"] in wanted}
    same = sorted(name for name, record in records.items() if record.get("repeated") == "same")
    differing = sorted(set(records) - set(same))
    unbuilt = sorted(wanted - set(records))
    share = len(same) / len(SDISTS)
    reported = {finding.get("package") for finding in ran.json()["findings"] if finding["code"] == "not-repeatable"}
    unreported = [name for name in differing if name not in reported]
    missed = tuple(f"{name}: differs, and nobody said so" for name in unreported)
    if share < 0.9:
        missed += (f"{share:.0%} identical; differing: {differing}; not built: {unbuilt}",)
    yield Figure(
        row="25",
        what="named source archives whose second build has the same bytes; every other one is reported",
        figure=f"{len(same)} of {len(SDISTS)}",
        goal=">= 90%, the others reported",
        missed=missed,
        notes=(f"differing: {', '.join(differing) or 'none'}; not built: {', '.join(unbuilt) or 'none'}",),
    )
