"""法人番号: one form, a right check digit, and the identifier in certificates."""

import pytest

from trust.errors import Malformed
from trust.registry import DEMONSTRATION, check_digit, corporate_number, organization_identifier

REAL = ("8040001079502", "2010401059681", "4011001098993", "2120901007402", "7000012050002")


@pytest.mark.parametrize("number", [*REAL, DEMONSTRATION])
def test_real_numbers_pass(number: str) -> None:
    assert corporate_number(number) == number
    assert organization_identifier(corporate_number(number)) == f"NTRJP-{number}"


@pytest.mark.parametrize(
    "text",
    ["８０４０００１０７９５０２", " 8040001079502 ", "8 0400-0107-9502", "8ー0400ー0107ー9502", "8\u30000400\u20100107−9502"],
)
def test_what_people_write_becomes_one_form(text: str) -> None:
    assert corporate_number(text) == "8040001079502"


@pytest.mark.parametrize("number", REAL)
def test_every_other_check_digit_fails(number: str) -> None:
    for digit in set("0123456789") - {number[0]}:
        with pytest.raises(Malformed, match=f"expected {number[0]} before"):
            corporate_number(digit + number[1:])


def test_the_check_digit_weighs_from_the_right() -> None:
    """Each base has one digit alone, so that a weight on the wrong place shows."""
    assert [check_digit("0" * (12 - n) + "1" + "0" * (n - 1)) for n in range(1, 13)] == [8, 7] * 6
    assert check_digit("0" * 12) == 9


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "other characters"),
        ("T8040001079502", "other characters"),
        ("八〇四〇〇〇一〇七九五〇二", "other characters"),
        ("804000107950", "got 12"),
        ("80400010795022", "got 14"),
        ("8040001079502\n1", "other characters"),
        ("٨٠٤٠٠٠١٠٧٩٥٠٢", "other characters"),
        ("²²²²²²²²²²²²²", "wrong check digit"),
    ],
)
def test_what_is_no_number_is_told_in_one_line(text: str, why: str) -> None:
    with pytest.raises(Malformed, match=why) as caught:
        corporate_number(text)
    assert "\n" not in str(caught.value)
