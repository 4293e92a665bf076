"""What a file's JSON says, read with checks; what is wrong or not understood is named by its place in the file."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Sequence
from typing import Any

from trous.errors import TrousError

#: Channels, kernels, layers: far above what any model has, and low enough to multiply.
LARGEST = 1 << 16
_LONG = 10**15
_MOST = sys.float_info.max


class Fields:
    """One object of the file.

    Args:
        value: what should be it.
        place: where in the file it stands, for messages.
    """

    def __init__(self, value: Any, place: str) -> None:
        if not isinstance(value, dict):
            raise TrousError(place, "must be an object", shown(value))
        self.place = place
        self._values: dict[str, Any] = value
        self._read: set[str] = set()

    def named(self, key: str) -> str:
        return f"{self.place}.{key}" if self.place else key

    def has(self, key: str) -> bool:
        """Whether there is a value, null being none."""
        return self._values.get(key) is not None

    def value(self, key: str, default: Any = None) -> Any:
        self._read.add(key)
        return self._values[key] if self.has(key) else default

    def integer(self, key: str, default: int | None = None, largest: int = LARGEST) -> int:
        return integer(self.value(key, default), self.named(key), largest)

    def number(self, key: str, default: float | None = None) -> float:
        return number(self.value(key, default), self.named(key))

    def flag(self, key: str, default: bool | None = None) -> bool:
        value = self.value(key, default)
        if not isinstance(value, bool):
            raise TrousError(self.named(key), "must be true or false", shown(value))
        return value

    def text(self, key: str) -> str:
        value = self.value(key)
        if not isinstance(value, str):
            raise TrousError(self.named(key), "must be text", shown(value))
        return value

    def integers(self, key: str) -> list[int]:
        values = self.items(key)
        return [integer(value, f"{self.named(key)}[{i}]", 1 << 24) for i, value in enumerate(values)]

    def items(self, key: str) -> list[Any]:
        value = self.value(key)
        if not isinstance(value, list) or not value:
            raise TrousError(self.named(key), "must be a list, and not an empty one", shown(value))
        return value

    def spread(self, key: str, count: int, default: Any = None) -> list[Any]:
        """A value for each of `count` layers: a list of as many, or one for all."""
        value = self.value(key, default)
        if not isinstance(value, list):
            return [value] * count
        if len(value) != count:
            raise TrousError(self.named(key), f"must have a value for each of the {count} dilations", len(value))
        return value

    def part(self, key: str) -> Fields | None:
        """An object within, or None where it is absent, null, false or not active."""
        value = self.value(key)
        if value is None or value is False:
            return None
        fields = Fields(value, self.named(key))
        return fields if fields.flag("active", True) else None

    def finish(self) -> None:
        """Raises TrousError where something was said that nobody asked for: it would change the sound."""
        others = {key: value for key, value in self._values.items() if key not in self._read and not _idle(value)}
        if others:
            key, value = next(iter(others.items()))
            raise TrousError(self.named(key), "is not understood here", shown(value))


def _idle(value: Any) -> bool:
    return value in (None, False, "") or (isinstance(value, dict) and value.get("active") is False)


def integer(value: Any, place: str, largest: int = LARGEST) -> int:
    """A whole number from 1 to `largest`."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= largest:
        raise TrousError(place, f"must be a whole number from 1 to {largest}", shown(value))
    return value


def number(value: Any, place: str) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST <= value <= _MOST:
        raise TrousError(place, "must be a finite number", shown(value))
    return float(value)


def divides(groups: int, channels: Sequence[int], place: str) -> int:
    """Groups that channels can be shared out to."""
    if any(count % groups for count in channels):
        rule = f"must divide the channels, {' and '.join(map(str, channels))}"
        raise TrousError(place, rule, groups)
    return groups


def equal(value: int, expected: int, place: str, what: str) -> int:
    """A size that something else in the file has to agree with."""
    if value != expected:
        raise TrousError(place, f"must be {what}, {expected}", value)
    return value


def shown(value: Any) -> Any:
    """A value as it is said in a message: in full if short."""
    short = isinstance(value, float | bool | None) or (isinstance(value, int) and abs(value) <= _LONG)
    return value if short else _Cut(value)


class _Cut:
    def __init__(self, value: Any) -> None:
        self._text = reprlib.repr(value)

    def __repr__(self) -> str:
        return self._text
