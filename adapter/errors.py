"""What went wrong, where, and what a person can do: the one shape every part of the adapter reports in."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace


class Severity(enum.Enum):
    """How much an issue matters, in FHIR's words (http://hl7.org/fhir/issue-severity)."""

    FATAL = "fatal"
    ERROR = "error"
    WARNING = "warning"
    INFORMATION = "information"


class Category(enum.Enum):
    """What kind of failure this is; only the edges turn it into an exit code or an HTTP status."""

    MALFORMED = "malformed"
    UNSUPPORTED = "unsupported"
    NOT_FOUND = "not-found"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    DEFECT = "defect"


_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {0x2028: " ", 0x2029: " "}


def one_line(text: str) -> str:
    """Give a text that cannot end its line or command a terminal: the names in it are not ours."""
    return text.translate(_CONTROL)


@dataclass(frozen=True, slots=True)
class Issue:
    """One located remark. ``message`` never holds a patient's value: only paths, codes and counts."""

    severity: Severity
    code: str
    """Our stable name for the problem, such as ``unit-missing``."""
    message: str
    """What is wrong and what to do about it, one sentence."""
    expression: str | None = None
    """Where in the resource, as simple FHIRPath: ``Bundle.entry[3].resource.status``."""
    file: str | None = None
    line: int | None = None

    def located(self, *, file: str | None = None, line: int | None = None, prefix: str = "") -> "Issue":
        """Give the same issue with the file, line or FHIRPath prefix that only the caller knows."""
        expression = self.expression
        if prefix:
            expression = f"{prefix}.{expression}" if expression else prefix
        return replace(self, file=file or self.file, line=line or self.line, expression=expression)

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place = f"{place}:{self.line}"
        if self.expression:
            place = f"{place}: {self.expression}" if place else self.expression
        return one_line(f"{place + ': ' if place else ''}{self.severity.value}: {self.message} [{self.code}]")


class AdapterError(Exception):
    """Something that stops the work at hand; carries its category and every issue found."""

    def __init__(self, category: Category, issues: Iterable[Issue]) -> None:
        self.category = category
        self.issues = tuple(issues)
        super().__init__("; ".join(str(issue) for issue in self.issues))

    @classmethod
    def of(cls, category: Category, code: str, message: str, *, expression: str | None = None) -> "AdapterError":
        """Make the error of a single issue."""
        return cls(category, (Issue(Severity.ERROR, code, message, expression=expression),))
