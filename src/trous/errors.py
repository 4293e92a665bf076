"""The one error that trous raises for bad input."""

from __future__ import annotations


class TrousError(ValueError):
    """What the user asked for cannot be.

    The message names the argument, the rule it breaks and the value that breaks it. Where the whole problem is known
    it follows on a second line, added once, at the entry (see `trous.functional`).

    >>> raise TrousError("stride", "must be at least 1 on every axis", 0)
    Traceback (most recent call last):
    trous.errors.TrousError: stride must be at least 1 on every axis, got 0
    """

    def __init__(self, argument: str, rule: str, value: object = None, problem: object = None):
        self.argument, self.rule, self.value, self.problem = argument, rule, value, problem
        super().__init__(argument, rule, value, problem)

    def __str__(self) -> str:
        text = f"{self.argument} {self.rule}, got {self.value!r}"
        return text if self.problem is None else f"{text}\n  in {self.problem}"

    def within(self, problem: object) -> TrousError:
        """The same error with the whole problem added, unless it already carries one."""
        return self if self.problem is not None else TrousError(self.argument, self.rule, self.value, problem)


class SlowPathWarning(UserWarning):
    """A problem fell through to a back-end that is much slower than the ones before it in the list."""
