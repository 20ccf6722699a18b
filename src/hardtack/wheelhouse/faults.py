"""Where checks of one file put what they find."""

from __future__ import annotations

from hardtack.model.finding import Finding, Severity


class Faults:
    """Collects the findings of one file, at most ``limit`` of each code, and says how many more there were."""

    def __init__(self, filename: str, *, limit: int = 20) -> None:
        self._filename = filename
        self._limit = limit
        self._findings: list[Finding] = []
        self._counts: dict[tuple[str, Severity], int] = {}
        self.package: str | None = None
        self.version: str | None = None

    @property
    def failed(self) -> bool:
        """True once an error was added."""
        return any(severity is Severity.ERROR for _, severity in self._counts)

    def error(self, code: str, message: str, *, hint: str | None = None) -> None:
        """Add something that denies the file."""
        self.add(code, message, Severity.ERROR, hint=hint)

    def warning(self, code: str, message: str, *, hint: str | None = None) -> None:
        """Add something to look at, though the file stands."""
        self.add(code, message, Severity.WARNING, hint=hint)

    def note(self, code: str, message: str, *, hint: str | None = None) -> None:
        """Add something that is kept for those who ask."""
        self.add(code, message, Severity.NOTE, hint=hint)

    def add(self, code: str, message: str, severity: Severity, *, hint: str | None = None) -> None:
        """Add a finding of a given weight."""
        key = (code, severity)
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count <= self._limit:
            self._findings.append(
                Finding(
                    code=code,
                    message=message if len(message) <= 600 else message[:600] + "...",
                    severity=severity,
                    package=self.package,
                    version=self.version,
                    file=self._filename,
                    hint=hint,
                )
            )

    def findings(self) -> tuple[Finding, ...]:
        """Everything that was found, in order."""
        more = [
            Finding(code=code, message=f"and {count - self._limit} more of this kind", severity=severity, file=self._filename)
            for (code, severity), count in self._counts.items()
            if count > self._limit
        ]
        return (*self._findings, *more)
