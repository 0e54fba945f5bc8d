"""The base registry of organisations: 法人番号 (corporate number) and the identifier that certificates carry for it."""

import unicodedata
from typing import NewType

from trust.errors import Malformed

CorporateNumber = NewType("CorporateNumber", str)
"""Thirteen ASCII digits, the first of them the check digit of the others."""

DEMONSTRATION = CorporateNumber("9999999999999")
"""Thirteen nines: the check digit is right, and no registry office has the code 9999. For demonstrations and tests."""

_SPACING = str.maketrans("", "", " -\u00a0\u3000\u2010\u2011\u2012\u2013\u2212\u30fc\uff70")
"""What people put between the groups of digits, after NFKC: blanks, hyphens and the dashes that Japanese input methods make of them."""


def check_digit(base: str) -> int:
    """Of the twelve base digits: 9 - (sum of P_n Q_n mod 9), P_n the n-th digit from the right, Q_n 1 for odd n and 2 for even n.

    法人番号の指定等に関する省令 article 2. It misses a 0 taken for a 9 and most exchanged digits: a right check digit proves no registration.
    """
    return 9 - sum(int(digit) * (1 if n % 2 else 2) for n, digit in enumerate(reversed(base), start=1)) % 9


def corporate_number(text: str) -> CorporateNumber:
    """A corporate number as people write it (full-width digits, blanks, hyphens) in its one form; Malformed unless the check digit is right."""
    digits = unicodedata.normalize("NFKC", text).strip().translate(_SPACING)
    if not digits.isascii() or not digits.isdigit():
        raise Malformed("corporate number (法人番号) is 13 digits, got other characters")
    if len(digits) != 13:
        raise Malformed(f"corporate number (法人番号) is 13 digits, got {len(digits)}")
    expected = check_digit(digits[1:])
    if int(digits[0]) != expected:
        raise Malformed(f"corporate number (法人番号) has a wrong check digit: expected {expected} before {digits[1:]}, got {digits[0]}")
    return CorporateNumber(digits)


def organization_identifier(number: CorporateNumber) -> str:
    """EN 319 412-1 clause 5.1.4: the subject attribute organizationIdentifier (2.5.4.97), national trade register of Japan."""
    return f"NTRJP-{number}"
