"""What the format script of a field makes of its value: the functions of Acrobat's forms that makers of forms call, read and not run.

The script is signed with the form, so that what it adds (a unit, a percent sign, the dashes of a telephone number) is what the signer meant.
Errors: none; another script adds nothing that is known.
"""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from trust.errors import Malformed
from verifier.formats.pdf.comparison import dictionary_of
from verifier.formats.pdf.fields import Field, same_number, squeezed, value_text

_CALL = re.compile(r"\s*AF(Number|Percent|Special)_Format\s*\(([^()]{0,200})\)\s*;?\s*")
_ARGUMENT = re.compile(r"\"([^\"]*)\"|'([^']*)'")
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_DIGITS = re.compile(r"[^0-9]")
_DASHED = re.compile(r"[0-9() -]+")
MAX_SCRIPT = 4096


def masked(field: Field, shown: str, value: str) -> bool:
    """Whether the field's own format makes what is shown out of the value; both without white space."""
    found = _CALL.fullmatch(_script(field))
    if found is None:
        return False
    if found[1] == "Number":
        units = [squeezed(_ESCAPE.sub(lambda m: chr(int(m[1], 16)), one or other)) for one, other in _ARGUMENT.findall(found[2])]
        return any(unit and unit in shown and same_number(shown.replace(unit, "", 1), value) for unit in units)
    if found[1] == "Percent":
        return shown.endswith("%") and same_number(shown[:-1], _hundredfold(value))
    digits = _DIGITS.sub("", shown)
    return bool(digits) and _DASHED.fullmatch(shown) is not None and digits == _DIGITS.sub("", value)


def _hundredfold(value: str) -> str:
    try:
        return f"{Decimal(value) * 100:f}"
    except InvalidOperation:
        return ""


def _script(field: Field) -> str:
    """/AA /F, a JavaScript action (ISO 32000-2 tables 199 and 217)."""
    action = dictionary_of((dictionary_of(field.actions) or {}).get("/F"))
    script: Any = None if action is None else action.get("/JS")
    try:
        return value_text(script)[:MAX_SCRIPT]
    except Malformed:
        return ""
