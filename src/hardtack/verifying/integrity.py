"""Are the files the ones that were promised? Digests and facts are given: nothing here opens a file."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from hardtack.model.finding import Finding, Severity
from hardtack.model.fit import Fit, read_wheel_name
from hardtack.model.lock import Lock, LockedFile, LockedPackage
from hardtack.model.manifest import ManifestFile, Pin
from hardtack.model.plan import Build, Plan, Take
from hardtack.model.requirements import RootRequirement
from hardtack.model.target import Target
from hardtack.model.wheel import BadWheel, WheelFacts

_REPLACED = "the file was replaced or altered after it was listed; do not use it before you know which"


def check_files(
    files: Sequence[ManifestFile],
    found: Mapping[str, WheelFacts | BadWheel],
    *,
    targets: Sequence[Target] = (),
    lock: Lock | None = None,
    leftovers: Collection[str] = (),
) -> tuple[Finding, ...]:
    """Compare what is listed with what lies there. ``found`` holds the facts of every wheel by its path, as freshly read from its bytes.

    With ``lock``, a file that was neither built here nor copied in by hand must be one of its files. ``leftovers`` are paths that are
    known to be of no use.
    """
    findings: list[Finding] = []
    fits = {target.name: Fit(target) for target in targets}
    locked = _locked_digests(lock) if lock is not None else None
    for file in files:
        facts = found.get(file.path)
        if facts is None:
            hint = "run hardtack build again: it fetches what is absent"
            findings.append(_about(file, "absent", f"{file.path} is listed and does not lie there", hint=hint))
            continue
        findings += _bytes(file, facts)
        findings += facts.findings
        if isinstance(facts, WheelFacts):
            findings += _facts(file, facts, fits)
        if locked is not None and file.origin not in ("built", "foreign"):
            findings += _against_lock(file, locked)
    findings += _duplicates(files)
    listed = {file.path for file in files}
    versions = {(canonicalize_name(file.name), _version(file.version)) for file in files}
    for path in sorted(found):
        if path in listed:
            continue
        facts = found[path]
        if isinstance(facts, WheelFacts) and (facts.name, facts.version) in versions:
            message = f"{path} is not listed, and of a version that is: installers may take it in place of what was proven"
            findings.append(Finding(code="rival", message=message, file=path, hint="remove it, or run hardtack build --prune"))
        elif path in leftovers:
            findings.append(Finding(code="leftover", severity=Severity.NOTE, message=f"{path} is left over from an earlier run", file=path))
        else:
            message = f"{path} lies there and is not listed: an installer that looks by name may take it"
            hint = "remove it, or run hardtack build --prune"
            findings.append(Finding(code="unlisted", severity=Severity.WARNING, message=message, file=path, hint=hint))
    return tuple(findings)


def _bytes(file: ManifestFile, facts: WheelFacts | BadWheel) -> Iterator[Finding]:
    if facts.sha256 != file.sha256:
        yield _about(file, "hash-mismatch", f"{file.path} has sha256 {facts.sha256}, but {file.sha256} is listed", hint=_REPLACED)
    elif isinstance(facts, WheelFacts) and facts.size != file.size:
        yield _about(file, "size-mismatch", f"{file.path} has {facts.size} bytes, but {file.size} are listed", hint=_REPLACED)


def _facts(file: ManifestFile, facts: WheelFacts, fits: Mapping[str, Fit]) -> Iterator[Finding]:
    hint = "the wheel is not what its name or the lock says: fetch it from an index you trust, or build it"
    if facts.name != canonicalize_name(file.name):
        yield _about(file, "name-mismatch", f"{file.path} says that it is {facts.name}, but {file.name} is listed", hint=hint)
    if _version(file.version) != facts.version:
        message = f"{file.path} says that it is version {facts.version}, but {file.version} is listed"
        yield _about(file, "version-mismatch", message, hint=hint)
    for name in file.targets:
        fit = fits.get(name)
        if fit is not None and fit.rank(facts.tags) is None:
            yield Finding(
                code="tags",
                message=f"{file.path} is listed for {name}, which cannot load it: {fit.misfit(facts.tags)}",
                package=file.name,
                version=file.version,
                target=name,
                file=file.path,
                hint="plan again for this target",
            )


def _locked_digests(lock: Lock) -> dict[str, tuple[set[str], bool]]:
    """By file name: the digests that the lock states, and whether it has an entry without one."""
    found: dict[str, tuple[set[str], bool]] = {}
    for package in lock.packages:
        for file in _files(package):
            digests, unstated = found.setdefault(file.filename, (set(), False))
            if file.sha256 is not None:
                digests.add(file.sha256)
            found[file.filename] = digests, unstated or file.sha256 is None
    return found


def _against_lock(file: ManifestFile, locked: Mapping[str, tuple[set[str], bool]]) -> Iterator[Finding]:
    known = locked.get(file.filename)
    if known is None:
        yield _about(file, "not-in-lock", f"{file.path} is no file of the lock, and was not built here", hint="plan again from the lock")
        return
    digests, unstated = known
    if file.sha256 not in digests and not unstated:
        message = f"{file.path} has sha256 {file.sha256}, but the lock states {' or '.join(sorted(digests))}"
        yield _about(file, "hash-mismatch", message, hint=_REPLACED)


def _duplicates(files: Sequence[ManifestFile]) -> Iterator[Finding]:
    serving: dict[tuple[str, str, Version | str], str] = {}
    for file in files:
        for target in file.targets:
            key = target, canonicalize_name(file.name), _version(file.version)
            other = serving.setdefault(key, file.filename)
            if other != file.filename:
                yield Finding(
                    code="duplicate",
                    message=f"{file.name} {file.version} is listed twice for {target}: {other} and {file.filename}",
                    package=file.name,
                    version=file.version,
                    target=target,
                    file=file.path,
                    hint="one wheel of a version serves a target: plan again",
                )


def check_user_hashes(roots: Sequence[RootRequirement], lock: Lock, plan: Plan | None = None) -> tuple[Finding, ...]:
    """Compare the digests that the user states beside a requirement with those that are locked: resolvers have been seen to pass them over.

    What is taken (with ``plan``), and without a plan at least one file of each locked version, must carry one of the stated digests.
    """
    findings: list[Finding] = []
    for root in roots:
        if not root.hashes:
            continue
        name = canonicalize_name(root.requirement.name)
        stated = {digest.lower() for digest in root.hashes}
        for package in lock.packages:
            if package.name != name or (package.version is not None and not _is_meant(root, package.version)):
                continue
            taken = _taken(plan, package) if plan is not None else None
            findings += _judge_hashes(root, package, stated, taken)
    return tuple(findings)


def _is_meant(root: RootRequirement, version: Version) -> bool:
    return root.requirement.url is not None or root.requirement.specifier.contains(version, prereleases=True)


def _taken(plan: Plan, package: LockedPackage) -> tuple[LockedFile, ...]:
    entries = [entry for entry in plan.entries if entry.package.name == package.name and entry.package.version == package.version]
    chosen = [entry.decision.file if isinstance(entry.decision, Take) else entry.package.sdist for entry in entries]
    return tuple(dict.fromkeys(file for file in chosen if file is not None))


def _judge_hashes(
    root: RootRequirement, package: LockedPackage, stated: set[str], taken: tuple[LockedFile, ...] | None
) -> Iterator[Finding]:
    files = _files(package) if taken is None else taken
    digests = {file: {*([f"sha256:{file.sha256}"] if file.sha256 else []), *file.other_hashes} for file in files}
    algorithms = {digest.partition(":")[0] for digest in stated}
    comparable = [file for file, known in digests.items() if any(digest.partition(":")[0] in algorithms for digest in known)]
    wrong = [file for file in comparable if not digests[file] & stated]
    where = f"{root.origin}: {root.requirement}"
    if files and not comparable:
        yield Finding(
            code="hash-unchecked",
            severity=Severity.WARNING,
            message=f"{where} states {', '.join(sorted(algorithms))} digests, and the lock has others: they are not compared",
            package=package.name,
            version=str(package.version),
            hint="state sha256 digests",
        )
    elif wrong and (taken is not None or len(wrong) == len(comparable)):
        names = ", ".join(f"{file.filename} (sha256 {file.sha256})" for file in wrong[:3]) + (" and more" if len(wrong) > 3 else "")
        yield Finding(
            code="hash-mismatch",
            message=f"{where} states digests that do not match what is locked: {names}",
            package=package.name,
            version=str(package.version),
            required_by=(where,),
            hint="if the stated digests are right, the index serves other bytes: do not use them; if they are out of date, correct them",
        )


def check_downgrades(pins: Sequence[Pin], lock: Lock, targets: Sequence[Target], *, built: Container[str] = ()) -> tuple[Finding, ...]:
    """Was a lesser wheel taken though the lock has a better one of the same version? Judged anew, whatever the plan said.

    An error where a pure wheel stands in for a compiled one, a warning else. The wheels in ``built``, by file name, were not taken but
    made, and are not judged.
    """
    findings: list[Finding] = []
    fits = {target.name: Fit(target) for target in targets}
    packages: dict[str, list[LockedPackage]] = {}
    for package in lock.packages:
        packages.setdefault(package.name, []).append(package)
    for pin in pins:
        fit = fits.get(pin.target)
        if fit is None or pin.filename in built:
            continue
        for package in packages.get(canonicalize_name(pin.name), ()):
            names = [file.filename for file in package.wheels]
            if pin.filename in names and (package.targets is None or pin.target in package.targets):
                findings += _downgrade(pin, names, fit)
    return tuple(findings)


def _downgrade(pin: Pin, names: Sequence[str], fit: Fit) -> Iterator[Finding]:
    taken = read_wheel_name(pin.filename)
    order = fit.order(taken.tags, taken.build) if taken is not None else None
    if taken is None or order is None:
        return
    better = []
    for filename in names:
        other = read_wheel_name(filename)
        rival = (
            fit.order(other.tags, other.build) if other is not None and (other.name, other.version) == (taken.name, taken.version) else None
        )
        if other is not None and rival is not None and rival > order:
            better.append((rival, filename, all(tag.platform == "any" for tag in other.tags)))
    if better:
        _, filename, other_pure = max(better)
        pure = all(tag.platform == "any" for tag in taken.tags)
        yield Finding(
            code="downgraded",
            severity=Severity.ERROR if pure and not other_pure else Severity.WARNING,
            message=f"{pin.filename} is taken though {filename} fits {pin.target} and is better",
            package=pin.name,
            version=pin.version,
            target=pin.target,
            file=pin.filename,
            instead=(filename,),
            hint="plan again; if it stays so, this is a fault of hardtack worth a report",
        )


def note_yanked(plan: Plan) -> tuple[Finding, ...]:
    """One warning for each file that is taken though its index withdrew it (PEP 592): a lock or a pin may ask for it all the same."""
    users: dict[LockedFile, tuple[LockedPackage, list[str]]] = {}
    for entry in plan.entries:
        file = (
            entry.decision.file if isinstance(entry.decision, Take) else entry.package.sdist if isinstance(entry.decision, Build) else None
        )
        if file is not None and file.yanked is not None:
            users.setdefault(file, (entry.package, []))[1].append(entry.target)
    return tuple(
        Finding(
            code="yanked",
            severity=Severity.WARNING,
            message=f"{package.name} {package.version} was yanked by its maker{f': {file.yanked}' if file.yanked else ''}"
            f" ({file.filename}, for {', '.join(dict.fromkeys(targets))})",
            package=package.name,
            version=str(package.version),
            file=file.filename,
            hint="choose another version, unless you know that the reason does not concern you",
        )
        for file, (package, targets) in users.items()
    )


def _files(package: LockedPackage) -> tuple[LockedFile, ...]:
    return (*package.wheels, *(file for file in (package.sdist, package.archive) if file is not None))


def _version(text: str) -> Version | str:
    try:
        return Version(text)
    except InvalidVersion:
        return text


def _about(file: ManifestFile, code: str, message: str, *, hint: str) -> Finding:
    return Finding(code=code, message=message, package=file.name, version=file.version, file=file.path, hint=hint)
