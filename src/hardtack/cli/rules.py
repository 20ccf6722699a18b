"""What each code of a finding means and what to do, for reports. Made by docs/make_rules.py from docs/findings.md; do not edit."""

# ruff: noqa: E501

from __future__ import annotations

RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "absent": (
        (
            "a listed wheel, or another file of the wheelhouse, does not lie there; as a warning: an installed package is compared with its RECORD alone, for its wheel is gone",
            "`hardtack build`",
        ),
    ),
    "ambiguous": (
        (
            "several versions lie there, and no lock says which",
            "give the lock",
        ),
    ),
    "apart": (
        (
            "(warning) of a folder that nobody said anything of: each project in it can be installed, but not all of them at once",
            "nothing, if that is meant; else say what is to be installed together",
        ),
    ),
    "backend": (
        (
            "its backend answered with something that is no answer, or always asks for more",
            "ask its maker, or take another version",
        ),
    ),
    "broken-code": (
        (
            "(warning) a file begins as ELF files do, and is cut off or contradicts itself: no loader could load it, and what it needs is not told",
            "take another file; if it is data that nobody loads, nothing",
        ),
    ),
    "build": (
        (
            "a hook of its backend failed, or was ended at a limit",
            "the last lines of its log are shown, with its path and, where it is known, what would help",
        ),
    ),
    "build-requirements": (
        (
            "what it needs to be built cannot be had, is not sound, is not locked, or cannot be put into one environment",
            "as told; `--build-constraint` chooses another version of it",
        ),
    ),
    "build-root": (
        (
            "the folder that was given as build root is no unpacked system, no Python runs in it, or there is no bubblewrap to enter it",
            "as told; [compiled](compiled.md) says where roots come from",
        ),
    ),
    "check-failed": (
        (
            "a command of `--check` ended with another exit code than 0",
            "its last words are shown",
        ),
    ),
    "conflict": (
        (
            "two versions of one package are wanted on the same patch",
            "lock again",
        ),
    ),
    "constraint": (
        (
            "a constraint forbids what is to be installed",
            "lock again, or change the constraint",
        ),
    ),
    "data-scheme": (
        (
            "a file in `.data` belongs to no scheme (purelib, platlib, headers, scripts, data); as a warning: it reaches site-packages by the data scheme",
            "ask its maker",
        ),
    ),
    "dist-info": (
        (
            "not exactly one `.dist-info` folder of the wheel's own name and version, or a `.data` folder of another; as a warning: it brings what installers write (`direct_url.json`)",
            "take another file",
        ),
    ),
    "downgraded": (
        (
            "a lesser wheel is taken though the lock has a better one of the same version; as a warning: a target gets a pure wheel where another gets machine code of the same version",
            "plan again; or look for the compiled wheel",
        ),
    ),
    "duplicate": (
        (
            "two wheels of one version for the same target, or two files of one name; as a note: several versions of a project that fit one target, and no lock",
            "plan again; or remove the wrong one",
        ),
    ),
    "entry-points": (
        (
            "entry_points.txt is malformed, or a script's value is no `module:function`",
            "ask its maker",
        ),
    ),
    "env-changed": (
        (
            "an installed file is not what its RECORD or its wheel says, or is not there; or it is no file of the wheel",
            "install the package anew; find out who changed it",
        ),
    ),
    "env-duplicate": (
        (
            "a package is installed twice",
            "install it anew",
        ),
    ),
    "env-editable": (
        (
            "(warning) a package is installed editable: its code is whatever lies in that folder",
            "install a wheel of it, if that is not meant",
        ),
    ),
    "env-extra": (
        (
            "(warning) something is installed that nothing asks for; (note) it is pip, setuptools or wheel",
            "remove it, if it is not meant to be there",
        ),
    ),
    "env-lost": (
        (
            "an installed file is not what its RECORD or its wheel says, or is not there; or it is no file of the wheel",
            "install the package anew; find out who changed it",
        ),
    ),
    "env-missing": (
        (
            "what the lock or wheelhouse has is not installed, or in another version",
            "install it",
        ),
    ),
    "env-record": (
        (
            "a RECORD lists files outside of the environment; as a warning: a package has no RECORD, or one that cannot be relied upon",
            "whether its files are whole is not told: install it anew",
        ),
    ),
    "env-system": (
        (
            "(warning) the environment sees the packages of the Python that it was made from",
            "make it without them",
        ),
    ),
    "env-unowned": (
        (
            "(note) files among the packages that belong to none; (warning) one of them runs whenever Python starts",
            "look at them",
        ),
    ),
    "env-version": (
        (
            "what the lock or wheelhouse has is not installed, or in another version",
            "install it",
        ),
    ),
    "file-name": (
        (
            "the name is not that of a wheel (PEP 427) or source archive; as a warning: a legacy spelling",
            "rename it as its maker called it, or take another file",
        ),
    ),
    "first-seen": (
        (
            "(note) files whose hash nobody states: the digest seen first is recorded and holds from now on",
            "compare it once with what their maker says",
        ),
    ),
    "foreign": (
        (
            "(note) a wheel that was copied into the wheelhouse by hand is kept (`--keep-foreign`), and for which targets; (warning) installing by name may take it in place of the version that is provisioned, or it fits no target and is not kept",
            "as told",
        ),
    ),
    "glibc-floor": (
        (
            "what was built here needs symbols newer than the target's glibc",
            "build in a root (`--build-root`) or on a system as old as the target",
        ),
        (
            "a file needs symbols newer than the target's glibc, whatever the tags say. As a warning: no target suffers, but the tag promises too much; or a wheel for every system brings such a file",
            "take another version, or build it from source",
        ),
    ),
    "hash-mismatch": (
        (
            "the file's sha256 is not the one it was stored or locked under",
            "fetch it again; if it differs again, do not use it before you know which of the two is genuine",
        ),
        (
            "a file is not the one that is listed, or not the one whose hash you state",
            "find out who replaced it",
        ),
    ),
    "hash-unchecked": (
        (
            "a hash that you state could not be compared, for the lock states another algorithm",
            "state the sha256",
        ),
    ),
    "host-library": (
        (
            "what was built here needs libraries of this host",
            "install the `repair` extra, or build where they are",
        ),
        (
            "(warning) importing it loads a library that no wheel here brings, and that no tag promises, or that is a desktop's and missing on servers and containers (`libGL.so.1`); (note) only a plugin of it does",
            "install the library on the host; the hint names packages where they are known",
        ),
    ),
    "incomplete": (
        (
            "the wheelhouse was stowed with `--keep-incomplete`",
            "`hardtack build`",
        ),
    ),
    "index-ambiguous": (
        (
            "names that some file system cannot hold side by side, or at all",
            "as told",
        ),
    ),
    "install-failed": (
        (
            "a real installation with the network shut failed",
            "as uv says",
        ),
    ),
    "left-aside": (
        (
            "(note) a part has what the whole does not need, and it was not taken",
            "nothing, if that is meant",
        ),
    ),
    "leftover": (
        (
            "(note) a wheel of an earlier run, of a version that nothing needs; or wheels in a folder that serve no target",
            "`--prune` removes it",
        ),
    ),
    "link": (
        (
            "what is to be merged is a link, a device, or lies behind a link",
            "copy the folder with its files, and merge the copy",
        ),
    ),
    "long-path": (
        (
            "names that some file system cannot hold side by side, or at all",
            "as told",
        ),
    ),
    "machine": (
        (
            "a wheel with an ABI of its own has no machine code for the target's machine; as a warning: a wheel without ABI has none",
            "its tags are wrong: take another wheel, or build it",
        ),
    ),
    "merge-conflict": (
        (
            "two wheelhouses that are merged have different versions for one target, or different files of one name; as a warning: two builds of one source, of which the first is taken",
            "both are named: make the part from the same lock, or find out which file is genuine",
        ),
    ),
    "metadata": (
        (
            "METADATA or PKG-INFO is missing, malformed, of an unknown major version, or holds an invalid version, requirement or Requires-Python",
            "choose another version of the package: pip and uv refuse it too",
        ),
    ),
    "metadata-name": (
        (
            "file name and metadata name another project or version",
            "do not use it",
        ),
    ),
    "missing": (
        (
            "a requirement that nothing here meets, with the chain of who asks",
            "the hint says what to add",
        ),
    ),
    "missing-file": (
        (
            "a listed wheel, or another file of the wheelhouse, does not lie there; as a warning: an installed package is compared with its RECORD alone, for its wheel is gone",
            "`hardtack build`",
        ),
    ),
    "name-collision": (
        (
            "names that some file system cannot hold side by side, or at all",
            "as told",
        ),
    ),
    "name-mismatch": (
        (
            "the wheel's own metadata names another project or version than the list",
            "do not use it",
        ),
    ),
    "needs-build": (
        (
            "it can only be built, and a build here cannot serve the target, or failed",
            "the command that is printed, on a machine like the target; or another version",
        ),
    ),
    "no-file": (
        (
            "none of the version's wheels fits the target, or `--no-binary` refuses them, and it has no source",
            "take a version, a floor or a target that one fits; the files that exist are listed with the reason of each",
        ),
    ),
    "no-hash": (
        (
            "nobody states a digest of the file, and `--require-stated-hashes` refuses such",
            "state it, or allow the first digest seen to be recorded",
        ),
    ),
    "no-python": (
        (
            "no interpreter of this machine may build it",
            "install one that its Requires-Python allows",
        ),
    ),
    "no-sandbox": (
        (
            "there is no sandbox, and `--require-sandbox` wants one",
            "install bubblewrap",
        ),
    ),
    "no-sdist": (
        (
            "(note) `--with-sdists` keeps no source archive of these packages, for none is known",
            "nothing, or name a repository or an archive of them",
        ),
    ),
    "not-counted": (
        (
            "(note) source archives lie among the wheels: nothing is proven of them",
            "`hardtack build --find-links DIR` makes wheels of them",
        ),
    ),
    "not-in-lock": (
        (
            "a wheel that is no file of the lock and was not built here; as a warning: nothing of its name or version is locked; as a note: it stands in for what is locked as a source",
            "plan again; or remove it",
        ),
    ),
    "not-repeatable": (
        (
            "(warning) other bytes came out when it was built again (`--build-twice` does that); the members that differ are told, and where",
            "report it to its makers; the digest of this build holds for this wheelhouse, and another build will have another",
        ),
    ),
    "not-tried": (
        (
            "`--smoke` or `--check` was asked for, and no complete target runs on this host",
            "name this host as a target",
        ),
    ),
    "nothing-asked": (
        (
            "(warning) the inputs ask for nothing",
            "look at what was read",
        ),
    ),
    "only-binary": (
        (
            "no wheel fits, and `--only-binary` forbids to build one",
            "allow it (`--no-binary NAME` where all are forbidden), or another version",
        ),
    ),
    "pin": (
        (
            "the manifest or lock states something that is no version or requirement",
            "make it again",
        ),
    ),
    "project": (
        (
            "(warning) a wheel asks for the project itself, which does not lie there",
            "install it beside the wheels",
        ),
    ),
    "recipe": (
        (
            "what you say of building it cannot be done: a variable that hardtack sets, a program that is not here",
            "change it where you said it",
        ),
    ),
    "record": (
        (
            "RECORD is missing or malformed, or does not list exactly the wheel's files with their sizes",
            "the file was altered or badly made; take another",
        ),
    ),
    "record-hash": (
        (
            "a file's digest is not that of RECORD, is missing, or weaker than sha256",
            "the file was altered or badly made; take another",
        ),
    ),
    "requires-python": (
        (
            "a package does not run on some patch of the target's Python",
            "name the patches that the host has: `-t py3.9.2+-linux-x86_64`",
        ),
    ),
    "reserved-name": (
        (
            "names that some file system cannot hold side by side, or at all",
            "as told",
        ),
    ),
    "rival": (
        (
            "a wheel that is not listed, or was copied in by hand, of a version that is: installers may take it in place of what was proven",
            "remove it, or `--prune`",
        ),
    ),
    "root": (
        (
            "the manifest or lock states something that is no version or requirement",
            "make it again",
        ),
    ),
    "script-name": (
        (
            "a script would leave its folder or replace the interpreter or its configuration",
            "do not use it",
        ),
    ),
    "sdist-bomb": (
        (
            "unpacked it would be absurdly large",
            "do not use it",
        ),
    ),
    "sdist-build": (
        (
            "neither pyproject.toml nor setup.py, a malformed `[build-system]`, or build requirements fetched from a URL",
            "take a version that has a wheel, or patch the source",
        ),
    ),
    "sdist-collision": (
        (
            "two members become one path with different content",
            "ask its maker",
        ),
    ),
    "sdist-link": (
        (
            "a link leaves the source folder, goes in a circle, or a member is written through one",
            "do not use it",
        ),
    ),
    "sdist-metadata": (
        (
            "nothing says which project and version it is; as a warning: it has no PKG-INFO",
            "take another file",
        ),
    ),
    "sdist-name": (
        (
            "a member's name is unsafe; as a warning: Windows cannot have it, or the top folder is called otherwise",
            "as `zip-name`",
        ),
    ),
    "sdist-structure": (
        (
            "the archive is damaged, cut off, of another format than its name says, of two formats at once, holds a second archive, or has not one top-level folder",
            "fetch it again, or take another file",
        ),
    ),
    "sdist-type": (
        (
            "a member is a device, pipe or sparse file",
            "do not use it",
        ),
    ),
    "second-opinion": (
        (
            "uv's resolver cannot solve the requirements from the target's files",
            "read both explanations: one of the two proofs is wrong, and nothing is stowed",
        ),
    ),
    "size-mismatch": (
        (
            "a file is not the one that is listed, or not the one whose hash you state",
            "find out who replaced it",
        ),
    ),
    "skew": (
        (
            "(note) a package has several versions among the targets, and why",
            "nothing, if that is meant",
        ),
    ),
    "smoke-crash": (
        (
            "importing a module ended Python itself",
            "take another version of it, or build it",
        ),
    ),
    "smoke-import": (
        (
            "(warning) importing a module failed otherwise",
            "look whether it is meant to be imported",
        ),
    ),
    "smoke-library": (
        (
            "importing a module failed for a library of the host",
            "install the library; on the target host, too",
        ),
    ),
    "smoke-missing": (
        (
            "importing a module of what was installed asked for a module that is not there, and that its metadata does not ask for; as a warning: nobody has to import it (`tests`, a loose module of a namespace package)",
            "ask for what is missing, as a requirement of your own",
        ),
    ),
    "smoke-time": (
        (
            "(warning) importing a module was ended after a minute, or was not begun for want of time",
            "look what it waits for",
        ),
    ),
    "source": (
        (
            "what a folder or repository became is of another version than the one that is locked",
            "lock again",
        ),
    ),
    "stale-lock": (
        (
            "the lock does not say what the project asks for now",
            "`hardtack lock`",
        ),
    ),
    "start-up-code": (
        (
            "(note) a `.pth` file, `sitecustomize` or `usercustomize` runs whenever Python starts",
            "legal; look at it if you do not know why it is there",
        ),
    ),
    "tags": (
        (
            "the tags in the file name are malformed, or stand for more than 1,000 tags",
            "take another file",
        ),
        (
            "the wheel that is to be installed does not fit the target; or what is needed lies there for other platforms or Pythons only",
            "take the one that is named, or build one",
        ),
    ),
    "unanswerable-marker": (
        (
            "a marker asks for what the target does not state (`platform_release`)",
            "state it under `[tool.hardtack.targets.NAME] markers`",
        ),
    ),
    "unknown-extra": (
        (
            "(warning) an extra is asked for that the package does not have",
            "look for a spelling mistake",
        ),
    ),
    "unlisted": (
        (
            "(warning) a wheel that somebody put there",
            "remove it, or `--prune`",
        ),
    ),
    "unreadable": (
        (
            "a file or folder cannot be read, or is none; as a warning: a link to a folder, which is not followed",
            "make it readable: what cannot be read counts for nothing",
        ),
    ),
    "unused": (
        (
            "a file serves no target",
            "plan again",
        ),
    ),
    "url-requirement": (
        (
            "(warning) a wheel's metadata names a URL: installing by name will not work offline",
            "install from the exact lists",
        ),
    ),
    "version": (
        (
            "what is to be installed is of a version that somebody's requirement forbids; or what is needed lies there in other versions only",
            "lock again, or declare an override; or add the version that is asked for",
        ),
    ),
    "version-mismatch": (
        (
            "the wheel's own metadata names another project or version than the list",
            "do not use it",
        ),
    ),
    "waiver": (
        (
            "an override or exclusion that was declared is at work",
            "installing by name may not work, the exact lists do",
        ),
    ),
    "wheel-file": (
        (
            "WHEEL is missing, malformed, of an unknown major version, or made for other tags than the file name claims; as a warning: it differs harmlessly",
            "take another file",
        ),
    ),
    "wrong-wheel": (
        (
            "its backend made something else than the one wheel that was asked for, or one that is not sound",
            "as above",
        ),
    ),
    "yanked": (
        (
            "(warning) a file was yanked by its maker, with the reason",
            "lock a newer version when you can",
        ),
    ),
    "zip-bomb": (
        (
            "unpacked it would be absurdly large, or has absurdly many members",
            "do not use it",
        ),
    ),
    "zip-collision": (
        (
            "two members become one path, on every system or (a warning where no target can be such) where case does not count",
            "ask its maker",
        ),
    ),
    "zip-crc": (
        (
            "a member's content does not match its CRC-32",
            "as above",
        ),
    ),
    "zip-name": (
        (
            "a member's name is absolute, climbs out, is not canonical, holds control characters, or (a warning where no target can be Windows) cannot exist on Windows",
            "do not use it if it climbs out; else ask its maker",
        ),
    ),
    "zip-structure": (
        (
            "two readers of the ZIP could see different members: bytes before, between or after members, headers that contradict each other, forged sizes, encryption, unknown methods; or it is no ZIP, or cut off",
            "fetch it again; if it is the same, ask its maker to build it anew, or unpack and repack it with `wheel` and lock the new digest",
        ),
        (
            "the archive is damaged, cut off, of another format than its name says, of two formats at once, holds a second archive, or has not one top-level folder",
            "fetch it again, or take another file",
        ),
    ),
    "zip-type": (
        (
            "a member is a link, device or pipe; wheels hold files",
            "ask its maker; do not use it",
        ),
    ),
}
