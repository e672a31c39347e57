"""What a proof found: a promise, how it was put to the test, how many trials held, and what went wrong in the others."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """How many trials a promise was put to, and what went wrong.

    test: what was done, in words; note: what must be known beside it; drawn: the trials were drawn at random from very many,
    so that their number says how rare a failure must be (else they are all there are, or a few chosen ones).
    """

    promise: str
    test: str = ""
    note: str = ""
    drawn: bool = False
    total: int = 0
    failures: list[str] = field(default_factory=list)

    def count(self, failure: str | None) -> None:
        """Count a trial; `failure`: what went wrong in it, or None."""
        self.total += 1
        if failure:
            self.failures.append(failure)

    @property
    def passed(self) -> int:
        return self.total - len(self.failures)

    def __str__(self) -> str:
        return f"{self.promise}: {self.passed}/{self.total}" + "".join(f"\n    {failure}" for failure in self.failures[:10])
