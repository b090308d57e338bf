"""Kubernetes quantities ("64Mi", "1.5Gi", "100m", "1e3"): exact integers in, canonical text out.

The documented grammar and the canonical form of k8s.io/apimachinery/pkg/api/resource: ASCII digits, no spaces, "k" but
not "K". Existing Python parsers accept what the API server refuses, or refuse what it takes (a `Decimal` alone takes
"Infinity" and "1_000"). Stricter than the server in one thing: "." and "Ki" alone, which it reads as 0, are refused.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from memguard.errors import InputError

Style = Literal["binary", "decimal", "exponent"]

NANO = 10**9
LARGEST = (1 << 63) - 1
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
SUFFIXES = {exponent: suffix for suffix, exponent in DECIMAL.items()}
DIGITS = frozenset("0123456789")
#: The pattern by which API servers recognise a quantity (apimachinery's Quantity); `parse` is stricter.
PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
#: Far above every size there is: 1e999999999 must not cost the memory that it asks for.
LARGEST_EXPONENT = 60
LONGEST = 128


class Quantity(msgspec.Struct, frozen=True, gc=False):
    """An amount in billionths, by which it is compared (1Ki and 1024 are as much), and how it was written."""

    nano: int
    style: Style = "decimal"

    @property
    def whole(self) -> int:
        """The amount as an integer, rounded away from zero: whoever asks for something gets something."""
        up = -(-abs(self.nano) // NANO)
        return up if self.nano >= 0 else -up

    def __str__(self) -> str:
        """The canonical form: no fraction, no plus sign, the largest suffix that loses nothing."""
        if self.style == "binary" and self.nano % NANO == 0 and abs(self.nano) >= 1024 * NANO:
            number, thousands = _shortened(self.nano // NANO, 1024, len(BINARY))
            return f"{number}{('', *BINARY)[thousands]}"
        number, thousands = _shortened(self.nano, 1000, LARGEST_EXPONENT)
        exponent = 3 * thousands - 9 if number else 0
        if self.style == "exponent" or exponent not in SUFFIXES:
            return f"{number}e{exponent}" if exponent else str(number)
        return f"{number}{SUFFIXES[exponent]}"


def parse(text: str, source: str = "<quantity>", field: str | None = None) -> Quantity:
    """The amount that a quantity stands for; what is finer than a billionth is rounded up. Raises InputError."""
    body = text[1:] if text[:1] in ("+", "-") else text
    suffix = body.lstrip("0123456789.")
    whole, _, fraction = body[: len(body) - len(suffix)].partition(".")
    exponent = BINARY.get(suffix, _exponent(suffix))
    if len(text) > LONGEST or not (whole or fraction) or "." in fraction or exponent is None:
        raise _refused(text, "is not a quantity", source, field)
    if exponent > LARGEST_EXPONENT:
        raise _refused(text, "is too large", source, field)
    digits, places = int(whole + fraction), 9 - len(fraction)
    style: Style = "decimal" if suffix in DECIMAL else "exponent"
    if suffix in BINARY:
        nano = min(_scaled(digits << exponent, places), LARGEST * NANO)
        style = "binary" if nano >= NANO or nano == 0 else "decimal"
    else:
        nano = _scaled(digits, places + exponent)
    return Quantity(-nano if text.startswith("-") else nano, style)


def parse_bytes(text: str, source: str = "<quantity>", field: str | None = None) -> int:
    """A size in bytes, rounded up. InputError also below zero and above 2^63 - 1."""
    size = parse(text, source, field).whole
    if not 0 <= size <= LARGEST:
        raise _refused(text, "is no size in bytes", source, field)
    return size


def format_bytes(count: int) -> str:
    """A size in canonical form: `1536Mi`."""
    return str(Quantity(count * NANO, "binary"))


def _exponent(suffix: str) -> int | None:
    """The power of ten that a suffix stands for; None if it is none."""
    if suffix in DECIMAL:
        return DECIMAL[suffix]
    sign, digits = (suffix[1], suffix[2:]) if suffix[1:2] in ("+", "-") else ("", suffix[1:])
    if suffix[0] not in "eE" or not digits or not DIGITS.issuperset(digits):
        return None
    return -int(digits) if sign == "-" else int(digits)


def _scaled(number: int, exponent: int) -> int:
    """number * 10^exponent, rounded up."""
    factor: int = 10 ** min(abs(exponent), LONGEST)  # longer than any number that is accepted
    return number * factor if exponent >= 0 else -(-number // factor)


def _shortened(number: int, base: int, most: int) -> tuple[int, int]:
    """The number without trailing factors of the base, and how many (at most so many) were taken off."""
    taken = 0
    while number and number % base == 0 and taken < most:
        number, taken = number // base, taken + 1
    return number, taken


def _refused(text: str, problem: str, source: str, field: str | None) -> InputError:
    shown = text if len(text) <= 40 else text[:37] + "..."
    remedy = "Write it like 512Mi, 1.5Gi, 2G or 1e9, without spaces; suffixes: Ki Mi Gi Ti Pi Ei, n u m k M G T P E."
    return InputError(source, f"{shown!r} {problem}", remedy=remedy, field=field)
