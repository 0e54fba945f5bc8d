"""Check boxes and radio buttons that are drawn anew after signing: honestly, as makers of forms do, and as the opposite of what they say."""

from collections.abc import Callable

import pytest

from tests.papers import Paper, stream
from tests.unit.test_pdf_attacks import suspicion
from tests.unit.test_pdf_changes import FORM_XOBJECT, PLAIN, SEAL, alarms

Story = Callable[[], Paper]
BOX = f"{FORM_XOBJECT} /BBox [0 0 20 20]"
DINGBATS = "/Resources << /Font << /ZaDb << /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >> /Helv 5 0 R >> >>"
GROUND = "0.8 0.8 1 rg 0 0 20 20 re f 0.5 w 0 G 0.5 0.5 19 19 re S"
ROUND = "10 20 m 15.5 20 20 15.5 20 10 c 20 4.5 15.5 0 10 0 c 4.5 0 0 4.5 0 10 c 0 15.5 4.5 20 10 20 c"
DOT = "10 14.5 m 12.5 14.5 14.5 12.5 14.5 10 c 14.5 7.5 12.5 5.5 10 5.5 c 7.5 5.5 5.5 7.5 5.5 10 c 5.5 12.5 7.5 14.5 10 14.5 c"
TICK = "BT 0 g 3 4 Td /ZaDb 16 Tf (4) Tj ET"
CROSS = "q 0 g 18 16 m 12 10 l 18 4 l 16 2 l 10 8 l 4 2 l 2 4 l 8 10 l 2 16 l 4 18 l 10 12 l 16 18 l h f Q"
PLATE = "q 0 0 20 20 re W n 0.9 g 0 0 20 20 re f"
BEVEL = "0.1 g 1 19 m 19 19 l 20 20 l 0 20 l 1 19 l f 19 19 m 19 1 l 20 0 l 20 20 l 19 19 l f"


def box(state: str, entries: str = "", appearances: str = "/N << /Yes 42 0 R /Off 43 0 R >>") -> bytes:
    value = state or "Off"
    return (
        f"<< /Type /Annot /Subtype /Widget /FT /Btn /T (Agreed) /V /{value} /AS /{value} /F 4 /Rect [72 500 92 520] /P 3 0 R "
        f"/AP << {appearances} >> {entries} >>"
    ).encode()


def picture(operators: str, entries: str = "") -> bytes:
    return stream(operators.encode(), f"{BOX} {DINGBATS} {entries}")


SIGNED_ON, SIGNED_OFF = f"{GROUND} {TICK}", GROUND


def pressed(
    on: str = SIGNED_ON,
    off: str = SIGNED_OFF,
    *,
    to: str = "Yes",
    at: str = "Off",
    then: str = "",
    now: str = "",
    appearances: str = "",
    entries: str = "",
    signed: str = SIGNED_ON,
) -> Paper:
    """A check box that is signed in one state, and then drawn anew in another."""
    before = {41: box(at, then), 42: picture(signed), 43: picture(SIGNED_OFF)}
    ready = PLAIN.rearranged(before, fields=("7 0 R", "41 0 R"), annotations=("7 0 R", "41 0 R")).signed(SEAL)
    body = box(to, now, appearances) if appearances else box(to, now)
    return ready.saved({41: body, 42: picture(on, entries), 43: picture(off, entries)})


HOSTILE: dict[str, Story] = {
    "states exchanged": lambda: pressed(SIGNED_OFF, SIGNED_ON),
    "states exchanged, its value kept": lambda: pressed(SIGNED_OFF, SIGNED_ON, to="Off"),
    "on without a sign": lambda: pressed(GROUND),
    "off with a sign": lambda: pressed(off=f"{GROUND} {TICK}", to="Off", at="Yes"),
    "sign in the colour of its ground": lambda: pressed(f"{GROUND} BT 0.8 0.8 1 rg 3 4 Td /ZaDb 16 Tf (4) Tj ET"),
    "sign too small": lambda: pressed(f"{GROUND} BT 0 g 3 4 Td /ZaDb 1 Tf (4) Tj ET"),
    "sign beside the box": lambda: pressed(f"{GROUND} BT 0 g 300 4 Td /ZaDb 16 Tf (4) Tj ET"),
    "sign painted over": lambda: pressed(f"{TICK} {GROUND}"),
    "sign clipped away": lambda: pressed(f"{GROUND} q 0 0 2 2 re W n {TICK} Q"),
    "sign that is not painted": lambda: pressed(f"{GROUND} BT 3 Tr 3 4 Td /ZaDb 16 Tf (4) Tj ET"),
    "sign of no colour that is known": lambda: pressed(f"{GROUND} /Spot cs 0 sc BT 3 4 Td /ZaDb 16 Tf (4) Tj ET"),
    "sign that is a space": lambda: pressed(f"{GROUND} BT 0 g 3 4 Td /ZaDb 16 Tf ( ) Tj ET"),
    "sign that is a word": lambda: pressed(f"{GROUND} BT 0 g 1 4 Td /Helv 9 Tf (No) Tj ET"),
    "sign by a picture": lambda: pressed(f"{GROUND} q 20 0 0 20 0 0 cm BI /W 1 /H 1 /CS /G /BPC 8 ID x EI Q"),
    "sign in a layer": lambda: pressed(entries="/OC << /Type /OCG /Name (x) >>"),
    "box by another matrix": lambda: pressed(entries="/Matrix [0.001 0 0 0.001 0 0]"),
    "other states": lambda: pressed(appearances="/N << /Ja 42 0 R /Off 43 0 R >>"),
    "state under the mouse": lambda: pressed(appearances="/N << /Yes 42 0 R /Off 43 0 R >> /R << /Yes 43 0 R >>"),
    "drawn anew as what the signer did not see": lambda: pressed(to="Yes", at="Yes", signed=GROUND),
    "caption of a word": lambda: pressed(then="/MK << /CA (4) >>", now="/MK << /CA (No) >>"),
    "default in white": lambda: pressed(now="/DA (/ZaDb 0 Tf 1 g)"),
}

LAWFUL: dict[str, Story] = {
    "pressed": pressed,
    "released": lambda: pressed(to="Off", at="Yes"),
    "by another dingbat": lambda: pressed(f"{GROUND} {TICK.replace('(4)', '(8)')}", then="/MK << /CA (4) >>", now="/MK << /CA (8) >>"),
    "by a cross": lambda: pressed(f"{GROUND} {CROSS}"),
    "by two lines": lambda: pressed(f"{GROUND} 0 G 1 w 3 3 m 17 17 l S 3 17 m 17 3 l S"),
    "by a letter": lambda: pressed(f"{GROUND} BT 0 g 5 4 Td /Helv 14 Tf (X) Tj ET"),
    "round, with a dot": lambda: pressed(f"1 g {ROUND} f 0 G {ROUND} s 0 g {DOT} f", f"1 g {ROUND} f 0 G {ROUND} s"),
    "with a bevel": lambda: pressed(f"{PLATE} {BEVEL} {TICK} Q", f"{PLATE} {BEVEL} Q"),
    "white on dark": lambda: pressed("0 0 0.4 rg 0 0 20 20 re f BT 1 g 3 4 Td /ZaDb 16 Tf (4) Tj ET"),
    "nothing when off": lambda: pressed(TICK, ""),
    "with a default where none was": lambda: pressed(now="/DA (0 0 0 rg /ZaDb 0 Tf)"),
    "caption left out": lambda: pressed(then="/MK << /CA (4) >>", now="/MK << >>"),
    "drawn anew in its state": lambda: pressed(f"{GROUND} {CROSS}", to="Yes", at="Yes"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_attacks(name: str) -> None:
    assert suspicion(HOSTILE[name]()) != []


@pytest.mark.parametrize("name", LAWFUL)
def test_lawful_twins(name: str) -> None:
    assert alarms(LAWFUL[name]()) == []
