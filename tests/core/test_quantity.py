from decimal import Decimal, localcontext

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from memguard.core.quantity import BINARY, DECIMAL, LARGEST, NANO, parse, parse_bytes
from memguard.errors import InputError

MI, GI = 1 << 20, 1 << 30

digits = st.text("0123456789", min_size=1, max_size=12)
numbers = st.one_of(
    digits,
    digits.map(lambda whole: f"{whole}."),
    digits.map(lambda fraction: f".{fraction}"),
    st.builds("{}.{}".format, digits, digits),
)
exponents = st.builds("{}{}{}".format, st.sampled_from("eE"), st.sampled_from(["", "+", "-"]), st.integers(0, 20))
suffixes = st.one_of(st.sampled_from([*BINARY, *DECIMAL]), exponents)
quantities = st.builds("{}{}{}".format, st.sampled_from(["", "+", "-"]), numbers, suffixes)


def meaning(text: str) -> Decimal:
    """The amount by another road: decimal arithmetic on the documented grammar."""
    body = text.lstrip("+-")
    number = body.rstrip("KMGTPEeiknum+-") if body[-1] not in "0123456789." else body
    suffix = body[len(number) :]
    if suffix in BINARY:
        return Decimal(number) * (1 << BINARY[suffix])
    if suffix in DECIMAL and suffix:
        return Decimal(number) * Decimal(10) ** DECIMAL[suffix]
    return Decimal(body)


# written, bytes (rounded up)
TABLE = [
    ("0", 0),
    ("-0", 0),
    ("0Ki", 0),
    ("0e3", 0),
    ("007", 7),
    ("+5", 5),
    ("1.", 1),
    ("1.G", 10**9),
    (".5", 1),
    ("1.5", 2),
    ("100m", 1),
    ("1000m", 1),
    ("1001m", 2),
    ("1u", 1),
    ("1n", 1),
    ("1Ki", 1024),
    ("1024Mi", GI),
    ("1.5Gi", 1536 * MI),
    ("0.5Mi", 512 * 1024),
    ("0.5Ki", 512),
    ("1000Ki", 1024000),
    ("1025Mi", 1025 * MI),
    ("2048Ei", LARGEST),
    ("8Ei", LARGEST),
    ("7Ei", 7 << 60),
    ("0.1Mi", 104858),
    ("100.035Ki", 102436),
    # less than one: rounded up to a billionth
    (".001Ki", 2),
    ("0.000000000001Ki", 1),
    ("0.0000000001", 1),
    ("3.001n", 1),
    ("0.00000012345", 1),
    # decimal: k is small, M is large
    ("8k", 8000),
    ("50000", 50000),
    ("1234000", 1234000),
    ("0.0005k", 1),
    ("128974848", 128974848),
    ("123Mi", 123 * MI),
    ("129e6", 129_000_000),
    ("129M", 129_000_000),
    ("9E", 9 * 10**18),
    # E is 10^18, E3 is 10^3
    ("1E", 10**18),
    ("1E3", 1000),
    ("1e3", 1000),
    ("1.5e3", 1500),
    ("1.3E+6", 1_300_000),
    ("1e-3", 1),
    ("1E-9", 1),
    ("1e-99", 1),
    ("1e14", 10**14),
]

REFUSED = [
    "", " ", "+", "-", ".", "-.", "Ki", "m", "e3",
    "1K", "1ki", "1mi", "1i", "1Kim", "1MiB", "1MB", "1Zi", "1Y", "0x10", "1µ",
    "1 Mi", " 1", "1 ", "1\n", "1Mi ", "\x00",
    "1_000Mi", "1,5Gi", "1.1.1", "1..", "--1", "+-1", "1+1",
    "1e", "1e+", "1e1.5", "1e3Ki", "1e61", "1e999999999", "9" * 129,
    "Infinity", "inf", "NaN", "-inf", "१Mi", "١٢", "1²", "1e²",
]  # fmt: skip


@pytest.mark.parametrize(("written", "size"), TABLE)
def test_means_what_it_does_to_kubernetes(written: str, size: int) -> None:
    assert -(-parse(written) // NANO) == size
    assert parse_bytes(written) == size


@pytest.mark.parametrize("written", [row[0] for row in TABLE if row[0][0] not in "+-"])
def test_a_sign_mirrors_it(written: str) -> None:
    assert parse("-" + written) == -parse(written)


@pytest.mark.parametrize("text", REFUSED)
def test_refuses_what_is_none_with_a_remedy(text: str) -> None:
    with pytest.raises(InputError, match="512Mi") as caught:
        parse(text, "policy.yaml", "spec.reserve")
    assert caught.value.source == "policy.yaml"
    assert caught.value.field == "spec.reserve"
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["-1", "-1n", "9223372036854775808", "1000E", "1e20"])
def test_a_size_is_neither_negative_nor_beyond_the_kernel(text: str) -> None:
    with pytest.raises(InputError, match="no size in bytes"):
        parse_bytes(text)


@given(quantities)
@example("-1.5Gi")
def test_means_what_the_grammar_says(text: str) -> None:
    with localcontext() as context:
        context.prec = 200
        amount = meaning(text) * NANO
        expected = int(amount) + (amount != int(amount))
    if text.endswith("i"):
        expected = min(expected, LARGEST * NANO)
    assert abs(parse(text)) == expected
    assert (parse(text) < 0) == (text.startswith("-") and expected > 0)


@given(quantities, quantities)
def test_order_is_that_of_the_amounts(left: str, right: str) -> None:
    with localcontext() as context:
        context.prec = 200
        sign = {"-": -1}
        amounts = [meaning(text) * sign.get(text[0], 1) for text in (left, right)]
    assume(all(abs(amount) <= LARGEST for amount in amounts))  # beyond, a binary one is capped and a decimal one is not
    if amounts[0] <= amounts[1]:
        assert parse(left) <= parse(right)


@given(st.integers(0, LARGEST))
@example(LARGEST)
def test_plain_bytes_are_what_they_are(count: int) -> None:
    assert parse_bytes(str(count)) == count


@given(st.one_of(st.text(max_size=20), st.text("0123456789.eEinumkKMGTP+-", max_size=20)))
def test_any_text_is_a_quantity_or_a_typed_error(text: str) -> None:
    try:
        parse(text)
    except InputError:
        return
    assert text.isascii()
