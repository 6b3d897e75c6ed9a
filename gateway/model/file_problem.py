"""What is wrong with a file that a person wrote, and where."""

from __future__ import annotations

from dataclasses import dataclass

ERROR, WARNING = "error", "warning"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing that is wrong (error) or should be changed (warning); the text names what is allowed, or a remedy."""

    level: str
    file: str
    line: int
    """from 1; 0 if it stands in no line"""
    column: int
    """from 1; 0 if it stands in no line"""
    key: str
    text: str

    @property
    def fatal(self) -> bool:
        """True if the gateway cannot run with it."""
        return self.level == ERROR

    def __str__(self) -> str:
        """Return it as editors and people read it."""
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: " if self.file else ""
        return f"{place}{self.key}: {self.text}" if self.key else f"{place}{self.text}"
