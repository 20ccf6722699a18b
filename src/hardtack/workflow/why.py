"""``why``: who requires a package, which file was taken for each target and why no other, and what would fill a gap."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from hardtack.building.serves import BuildGap
from hardtack.errors import HardtackError, UsageError
from hardtack.inputs.read import InputRequest
from hardtack.model.finding import Finding
from hardtack.model.fit import Fit, read_wheel_name
from hardtack.model.index import ProjectPage
from hardtack.model.plan import Build, Gap, PlanEntry, Rejected, Take
from hardtack.model.requirements import FormatControl
from hardtack.model.target import Target
from hardtack.planning.remedies import Ask, Newer, Remedy, Typed, by_index, newer_versions, remedies
from hardtack.reporting import Reporter
from hardtack.system.cancellation import Cancellation
from hardtack.targets.catalog import parse_target
from hardtack.verifying.paths import Routes, Unasked, routes, unasked
from hardtack.workflow.drafting import Draft, drafted, opened, spelled, unmade
from hardtack.workflow.evidence import ChosenFile, Evidence, of_draft, of_wheelhouse
from hardtack.workflow.reading import Job, read_job
from hardtack.workflow.request import BuildOptions, Request
from hardtack.workflow.yard import Yard

_NEAR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTarget:
    """What is known of the package on one target. Several entries of one target are for different patches: ``where`` (empty: all).

    ``state``: "taken" (a wheel as it is), "built", "to build", "gap", "unwanted". ``reason`` says why there is a gap or a build.
    """

    target: str
    state: str
    version: str | None = None
    where: str = ""
    code: str | None = None
    reason: str | None = None
    file: ChosenFile | None = None
    rejected: tuple[Rejected, ...] = ()
    routes: Routes = field(default_factory=Routes)
    unasked: tuple[Unasked, ...] = ()
    remedies: tuple[Remedy, ...] = ()

    def finding(self, package: str) -> Finding:
        """A gap in the words of every other verb."""
        return Finding(
            code=self.code or "missing",
            message=f"{package} {self.version or ''} has nothing that serves {self.target}: {self.reason}",
            package=package,
            version=self.version,
            target=self.target,
            file=self.file.filename if self.file is not None else None,
            required_by=tuple(str(step) for route in self.routes.shown[:1] for step in reversed(route.steps)),
            instead=tuple(f"{one.filename} ({one.reason})" for one in self.rejected),
            hint="; ".join(remedy.words for remedy in self.remedies) or None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyResult:
    """The answer. ``source`` is what was looked at; ``near`` are names that are there, for one that is not."""

    package: str
    source: str
    targets: tuple[OnTarget, ...]
    present: bool
    newer: tuple[Newer, ...] = ()
    near: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Its gaps; and that it is not there, where nobody asks for it either."""
        gaps = tuple(one.finding(self.package) for one in self.targets if one.state == "gap")
        if self.present or gaps:
            return gaps
        hint = f"did you mean {' or '.join(self.near)}?" if self.near else None
        return (Finding(code="missing", message=f"{self.package} is not there, and nobody asks for it", package=self.package, hint=hint),)

    @property
    def passed(self) -> bool:
        """True if the package is there and has no gap."""
        return self.present and not any(one.state == "gap" for one in self.targets)


def why(
    package: str,
    request: Request | None = None,
    *,
    wheelhouse: Path | None = None,
    options: BuildOptions | None = None,
    typed: Typed | None = None,
    reporter: Reporter | None = None,
    stop: Cancellation | None = None,
) -> WhyResult:
    """Explain one package, in a wheelhouse, or in what would be built of a request (nothing but metadata is fetched).

    A wheelhouse is read without network, but for a gap, for which the indexes are asked what they have. ``typed`` is what commands in
    the answer repeat. Raises InputError for a folder that is no wheelhouse, and all that ``build --dry-run`` raises.
    """
    name = _normalised(package)
    request = request or Request()
    options = options or BuildOptions()
    reporter = reporter or Reporter()
    stop = stop or Cancellation()
    if wheelhouse is None:
        own = read_job(request, replace(options, dry_run=True), reporter=reporter, stop=stop)
        with drafted(own, reporter=reporter, stop=stop) as draft:
            return _Answer(name, of_draft(draft, name), draft.yard, typed or Typed()).result(with_newer=True)
    evidence = of_wheelhouse(wheelhouse, _named(request.targets))
    typed = _made_by(evidence, typed or Typed(), wheelhouse)
    if not evidence.lacks(name):
        return _Answer(name, evidence, None, typed).result()
    job = _job_beside(name, replace(request, targets=evidence.targets), replace(options, output=wheelhouse), stop)
    if job is None:
        return _Answer(name, evidence, None, typed).result()
    with opened(job, reporter=reporter, stop=stop) as yard:
        return _Answer(name, evidence, yard, typed).result()


def _normalised(package: str) -> str:
    """The name, also where a requirement is given. Raises UsageError for what is neither."""
    try:
        return canonicalize_name(Requirement(package).name)
    except InvalidRequirement:
        raise UsageError(f"{package!r} is no name of a package", hint="one name is wanted: hardtack why flask") from None


def explained(name: str, draft: Draft, typed: Typed, failed: Mapping[tuple[str, str], BuildGap]) -> tuple[OnTarget, ...]:
    """What is known of one package of a draft on every target, where no other choice of versions helps.

    ``failed`` are builds of (package, target) that were tried in vain.
    """
    return _Answer(name, of_draft(draft, name), draft.yard, typed, failed, settled=True).result().targets


def _job_beside(name: str, request: Request, options: BuildOptions, stop: Cancellation) -> Job | None:
    """How the indexes are asked: as the project here says, or, where none lies here, as whoever asks for ``name`` would."""
    alone = InputRequest(requirements=(name,), project_dir=request.inputs.project_dir, use_lock=False)
    for inputs in (request.inputs, alone):
        try:
            return read_job(replace(request, inputs=inputs), options, reporter=Reporter(), stop=stop)
        except HardtackError:
            stop.check()
    return None  # what lies in the wheelhouse is told all the same


def _named(targets: Sequence[str | Target]) -> frozenset[str]:
    return frozenset(target.name if isinstance(target, Target) else _name_of(target) for target in targets)


def _name_of(text: str) -> str:
    try:
        return parse_target(text).name
    except HardtackError:
        return text  # a name of the configuration, or none: the wheelhouse knows


def _made_by(evidence: Evidence, typed: Typed, wheelhouse: Path) -> Typed:
    """What was typed to make the wheelhouse, as far as it says: what was asked on the command line, else what lies in the project."""
    output = () if wheelhouse == Path("wheelhouse") else ("-o", str(wheelhouse))
    if typed.asked or not evidence.roots or any(not root.origin.startswith("the command line") for root in evidence.roots):
        return replace(typed, output=output)
    return replace(typed, asked=tuple(dict.fromkeys(root.requirement for root in evidence.roots)), output=output)


class _Answer:
    """One package, looked at on every target."""

    def __init__(
        self,
        name: str,
        evidence: Evidence,
        yard: Yard | None,
        typed: Typed,
        failed: Mapping[tuple[str, str], BuildGap] | None = None,
        *,
        settled: bool = False,
    ) -> None:
        self.name, self.evidence, self.yard, self.typed, self._failed = name, evidence, yard, typed, failed or {}
        self._settled = settled
        self.formats = yard.job.formats if yard is not None else FormatControl()
        self._notes: list[str] = []

    def result(self, *, with_newer: bool = False) -> WhyResult:
        evidence, name = self.evidence, self.name
        pages = self._pages()
        present = name in evidence.names
        asks = self._asks()
        makeless = self._unmade()
        found: list[OnTarget] = []
        for target in evidence.targets:
            found += self._on(target, pages, asks, makeless)
        return WhyResult(
            package=evidence.display.get(name, name),
            source=evidence.source,
            targets=self._with_unasked(found),
            present=present,
            newer=self._newer(pages, asks) if with_newer else (),
            near=() if present else tuple(difflib.get_close_matches(name, sorted(evidence.names), n=_NEAR, cutoff=0.6)),
            notes=tuple(self._notes),
        )

    def _pages(self) -> tuple[ProjectPage, ...]:
        if self.yard is None:
            return ()
        try:
            return self.yard.supplies.client.files(self.name)
        except HardtackError as error:
            self._notes.append(f"the indexes were not asked what they have of {self.name}: {error.reason}")
            return ()

    def _asks(self) -> tuple[Ask, ...]:
        """What everybody asks of its version, on whatever target."""
        found: dict[str, Ask] = {}
        for walk, _ in self.evidence.walks.values():
            for demand in walk.demands.get(self.name, ()):
                asker = demand.origin if demand.asker is None else str(demand.asker.choice)
                unknown = demand.asker is not None and demand.asker.choice.name in self.evidence.unread
                found[str(demand)] = Ask(asker=asker, requirement=None if unknown else demand.requirement, root=demand.asker is None)
        if self.yard is not None:
            for root in self.yard.job.requirements.constraints:
                if canonicalize_name(root.requirement.name) == self.name:
                    found[str(root.origin)] = Ask(asker=str(root.origin), requirement=root.requirement, root=True)
        return tuple(dict.fromkeys(found.values()))

    def _unmade(self) -> Mapping[tuple[str, str], BuildGap]:
        entries = [entry for entry in self.evidence.entries if entry.package.name == self.name]
        made = {target for (target, name) in self.evidence.files if name == self.name}
        entries = [entry for entry in entries if entry.target not in made]
        if self.yard is None or not entries:
            return self._failed
        return {**unmade(entries, self.yard, self.typed, targets=self.evidence.targets), **self._failed}

    def _on(
        self, target: Target, pages: tuple[ProjectPage, ...], asks: tuple[Ask, ...], makeless: Mapping[tuple[str, str], BuildGap]
    ) -> list[OnTarget]:
        evidence, name = self.evidence, self.name
        walk, _ = evidence.walks[target.name]
        told = routes(walk, name)
        entries = [entry for entry in evidence.entries if entry.target == target.name and entry.package.name == name]
        files = evidence.files.get((target.name, name), ())
        if files:
            return [self._chosen(target, file, where, entries, told) for file, where in files]
        found = [self._planned(target, entry, told, pages, asks, makeless.get((name, target.name))) for entry in entries]
        if not found and told.shown:
            found.append(
                OnTarget(target=target.name, state="gap", code="missing", reason="it is asked for, and it is not there", routes=told)
            )
        return found or [OnTarget(target=target.name, state="unwanted")]

    def _chosen(self, target: Target, file: ChosenFile, where: str, entries: Sequence[PlanEntry], told: Routes) -> OnTarget:
        """A file of a wheelhouse, and why none of the others that its lock names."""
        rejected: dict[str, Rejected] = {}
        for entry in entries:
            if str(entry.package.version) != file.version:
                continue
            decision = entry.decision
            rejected |= {one.filename: one for one in decision.rejected if one.filename != file.filename}
            # What is built here may have the name of the index's own.
            if isinstance(decision, Take) and (decision.file.filename, decision.file.sha256) != (file.filename, file.sha256):
                instead = "a build from source was asked for" if file.origin == "built" else "another file lay there and was kept"
                rejected[decision.file.filename] = Rejected(filename=decision.file.filename, reason=f"it fits, but {instead}")
        reason = next((entry.decision.reason for entry in entries if isinstance(entry.decision, Build)), None)
        gone = (target.name, file.filename) in self.evidence.missing
        return OnTarget(
            target=target.name,
            state="gap" if gone else "built" if file.origin == "built" else "taken",
            version=file.version,
            where=where,
            code="missing" if gone else None,
            reason=f"{file.filename} is what is to be installed, and it does not lie there" if gone else reason,
            file=file,
            rejected=tuple(rejected.values()),
            routes=told,
            remedies=(Remedy(kind="relock", words="build it again", command=self.typed.again("build")),) if gone else (),
        )

    def _planned(
        self,
        target: Target,
        entry: PlanEntry,
        told: Routes,
        pages: tuple[ProjectPage, ...],
        asks: tuple[Ask, ...],
        makeless: BuildGap | None,
    ) -> OnTarget:
        decision, package = entry.decision, entry.package
        version = str(package.version) if package.version is not None else None
        where = entry.marker or ""
        own = OnTarget(target=target.name, state="taken", version=version, where=where, rejected=decision.rejected, routes=told)
        if isinstance(decision, Take):
            file = decision.file
            chosen = ChosenFile(
                filename=file.filename,
                version=str(package.version or ""),
                origin=file.url,
                index=file.index,
                sha256=file.sha256,
                size=file.size,
                hash_source=file.hash_source if file.sha256 else None,
                yanked=file.yanked,
            )
            return replace(own, file=chosen, rejected=(*decision.rejected, *self._unnamed(target, entry, pages), *self._elsewhere(entry)))
        help_ = () if not isinstance(decision, Gap) and makeless is None else self._remedies(target, entry, pages, asks, makeless)
        recorded = self.evidence.gaps.get((target.name, self.name))
        if isinstance(decision, Gap):
            return replace(own, state="gap", code=decision.code, reason=decision.reason, remedies=help_)
        if recorded is not None:
            words = [Remedy(kind="statement", words=recorded.hint)] if recorded.hint else []
            return replace(own, state="gap", code=recorded.code, reason=recorded.message, remedies=(*help_, *words))
        if makeless is not None:
            return replace(own, state="gap", code=makeless.code, reason=makeless.reason, remedies=help_)
        return replace(own, state="to build", reason=decision.reason)

    def _remedies(
        self, target: Target, entry: PlanEntry, pages: tuple[ProjectPage, ...], asks: tuple[Ask, ...], makeless: BuildGap | None
    ) -> tuple[Remedy, ...]:
        found = remedies(
            entry,
            target,
            pages=pages,
            asks=asks,
            formats=self.formats,
            typed=self.typed,
            spell=lambda floor: spelled(target, floor),
            relock=None if self._settled else self.typed.again("fix"),
        )
        if makeless is not None:
            # What cannot be built here is not built by allowing it.
            found = tuple(one for one in found if one.kind != "formats")
            found += (Remedy(kind="elsewhere", words=makeless.hint, command=makeless.command or None),)
        return found

    def _unnamed(self, target: Target, entry: PlanEntry, pages: tuple[ProjectPage, ...]) -> tuple[Rejected, ...]:
        """The wheels of this version that an index has and the lock does not name: resolvers leave out what is for other systems."""
        version, fit = entry.package.version, Fit(target)
        if version is None or entry.package.source is not None:
            return ()
        named = {file.filename for file in entry.package.wheels}
        found = []
        for page in pages:
            for file in page.files.get(version, ()):
                parts = read_wheel_name(file.filename)
                if parts is not None and file.filename not in named:
                    fits = fit.rank(parts.tags) is not None
                    found.append(Rejected(filename=file.filename, reason="the lock does not name it" if fits else fit.misfit(parts.tags)))
        return tuple(found)

    def _elsewhere(self, entry: PlanEntry) -> tuple[Rejected, ...]:
        """The same version on indexes that come later, or that the package is not pinned to."""
        if self.yard is None or entry.package.source is not None or len(self.yard.supplies.settings.indexes) < 2:
            return ()
        client, pages = self.yard.supplies.client, {}
        for index in self.yard.supplies.settings.indexes:
            try:
                if (page := client.page(index, self.name)) is not None:
                    pages[index.name] = page
            except HardtackError as error:
                self._notes.append(f"{index.name} could not be asked: {error.reason}")
        own = entry.decision.file.index if isinstance(entry.decision, Take) else entry.package.index
        taken = next((index.name for index in self.yard.supplies.settings.indexes if own in (index.name, index.url)), own)
        return tuple(Rejected(filename=filename, reason=reason) for filename, reason in by_index(pages, taken, entry.package.version))

    def _newer(self, pages: tuple[ProjectPage, ...], asks: tuple[Ask, ...]) -> tuple[Newer, ...]:
        versions = [entry.package.version for entry in self.evidence.entries if entry.package.name == self.name]
        known = [version for version in versions if version is not None]
        job = self.yard.job if self.yard is not None else None
        if not known or job is None:
            return ()
        wanted = {entry.target for entry in self.evidence.entries if entry.package.name == self.name}
        targets = [target for target in self.evidence.targets if target.name in wanted]
        prereleases = job.requirements.prereleases or self.name in job.requirements.prerelease_packages
        return newer_versions(max(known), pages, targets, asks, prereleases=prereleases)

    def _with_unasked(self, found: Sequence[OnTarget]) -> tuple[OnTarget, ...]:
        """Where it is not wanted, with who names it all the same, or at which step the ways of other targets end there."""
        ways = [route for one in found for route in one.routes.shown]
        answers = []
        for one in found:
            if one.state != "unwanted":
                answers.append(one)
                continue
            walk, roots = self.evidence.walks[one.target]
            reasons = unasked(walk, self.name, roots)
            for route in ways:
                if reasons:
                    break
                # The packages of a way that are there; the first that is not is asked for by nobody.
                for step in route.steps[1:]:
                    asked = canonicalize_name(step.asker.rpartition(" ")[0])
                    if not walk.demands.get(asked):
                        reasons = unasked(walk, asked, roots)
                        break
            answers.append(replace(one, unasked=reasons))
        return tuple(answers)
