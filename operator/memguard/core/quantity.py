"""Kubernetes quantities ("64Mi", "1.5Gi", "100m", "1e3") as exact integers.

The documented grammar of k8s.io/apimachinery/pkg/api/resource: ASCII digits, no spaces, "k" but not "K". Existing
Python parsers accept what the API server refuses, or refuse what it takes (a `Decimal` alone takes "Infinity" and
"1_000"). Stricter than the server in one thing: "." and "Ki" alone, which it reads as 0, are refused.
"""

from __future__ import annotations

from memguard.errors import InputError

NANO = 10**9
LARGEST = (1 << 63) - 1
BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
DIGITS = frozenset("0123456789")
#: The pattern by which API servers recognise a quantity (apimachinery's Quantity); `parse` is stricter.
PATTERN = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
    r"(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
#: Far above every size there is: 1e999999999 must not cost the memory that it asks for.
LARGEST_EXPONENT = 60
LONGEST = 128


def parse(text: str, source: str = "<quantity>", field: str | None = None) -> int:
    """The amount in billionths that a quantity stands for; what is finer is rounded up. Raises InputError."""
    body = text[1:] if text[:1] in ("+", "-") else text
    suffix = body.lstrip("0123456789.")
    whole, _, fraction = body[: len(body) - len(suffix)].partition(".")
    exponent = BINARY.get(suffix, _exponent(suffix))
    if len(text) > LONGEST or not (whole or fraction) or "." in fraction or exponent is None:
        raise _refused(text, "is not a quantity", source, field)
    if exponent > LARGEST_EXPONENT:
        raise _refused(text, "is too large", source, field)
    digits, places = int(whole + fraction), 9 - len(fraction)
    if suffix in BINARY:
        nano = min(_scaled(digits << exponent, places), LARGEST * NANO)
    else:
        nano = _scaled(digits, places + exponent)
    return -nano if text.startswith("-") else nano


def parse_bytes(text: str, source: str = "<quantity>", field: str | None = None) -> int:
    """A size in bytes, rounded up. InputError also below zero and above 2^63 - 1."""
    nano = parse(text, source, field)
    size = -(-nano // NANO)
    if nano < 0 or size > LARGEST:
        raise _refused(text, "is no size in bytes", source, field)
    return size


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


def _refused(text: str, problem: str, source: str, field: str | None) -> InputError:
    shown = text if len(text) <= 40 else text[:37] + "..."
    remedy = "Write it like 512Mi, 1.5Gi, 2G or 1e9, without spaces; suffixes: Ki Mi Gi Ti Pi Ei, n u m k M G T P E."
    return InputError(source, f"{shown!r} {problem}", remedy=remedy, field=field)
