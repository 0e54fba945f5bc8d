"""trust.codecs.xml: the parser's limits, Ids, names, node sets, and the XPath engine held against libxml2's."""

import base64
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from lxml import etree

from trust.algorithms import Algorithm
from trust.codecs.xml import METHODS, NodeSet, Tree, canonicalize, id_of, looks_like_xml, parse
from trust.codecs.xml.names import DS, PSS, decode, der_signature, ds, octets_of, signature_algorithm, split, text_of
from trust.codecs.xml.transforms import apply, octets
from trust.codecs.xml.xpath import STEPS, Budget, Query
from trust.codecs.xml.xpath_nodes import Attribute, Text
from trust.errors import Malformed, Unacceptable

EXC = METHODS["http://www.w3.org/2001/10/xml-exc-c14n#"]


@pytest.mark.parametrize(
    ("head", "is_xml"),
    [
        (b"<?xml version='1.0'?><a/>", True),
        (b"\xef\xbb\xbf \r\n<a>", True),
        ("<a/>".encode("utf-16"), True),
        (b"<!-- x --><a/>", True),
        (b"<\xe8\xa7\x92/>", True),
        (b"%PDF-1.7", False),
        (b"PK\x03\x04", False),
        (b"0\x82\x01\x00", False),
        (b"< a", False),
        (b"", False),
        (b'{"a": "<b/>"}', False),
    ],
)
def test_what_looks_like_xml(head: bytes, *, is_xml: bool) -> None:
    assert looks_like_xml(head) is is_xml


def test_a_namespace_error_behind_a_warning() -> None:
    """lxml tells the last entry of its log only: the warning about xml:space would hide that one attribute stands there twice."""
    with pytest.raises(Malformed, match="namespace"):
        parse(b'<a xmlns:p="u:1" xmlns:q="u:1" p:x="1" q:x="2"><b xml:space="odd"/></a>')
    assert parse(b'<a xmlns:p="u:1" xmlns:q="u:1" p:x="1" q:y="2"><b xml:space="odd"/></a>').elements == 2


def test_a_doctype_behind_a_long_prolog() -> None:
    with pytest.raises(Malformed, match="document type"):
        parse(b"<!--" + b"x" * 100_000 + b"--><!DOCTYPE a><a/>")
    assert parse(b"<!--" + b"x" * 100_000 + b"--><a/>").elements == 1
    assert parse(b"<!-- <!DOCTYPE a> --><a/>").elements == 1


def test_ids_in_every_spelling() -> None:
    tree = parse(b'<a Id="1x" xml:id="two"><b ID="three" id="three"/><c xmlns:w="u:w" w:Id="four"/><d Identity="five"/></a>')
    assert [len(tree.by_id(name)) for name in ("1x", "two", "three", "four", "five", "none")] == [1, 1, 1, 1, 0, 0]
    assert id_of(tree.root) == "1x"
    assert id_of(tree.root[1]) == "four"
    assert id_of(tree.root[2]) is None


def test_text_leaves_comments_out_and_keeps_what_is_around_them() -> None:
    element = etree.fromstring("<a>1<!--x-->00<b>0</b><?p y?>0</a>")
    assert text_of(element) == "10000"


@pytest.mark.parametrize("text", ["YQ==", " Y Q\n=\t=\r", "YWI="])
def test_base64_with_white_space(text: str) -> None:
    assert decode(text) in (b"a", b"ab")


@pytest.mark.parametrize("text", ["YQ", "YQ===", "Y-Q=", "YQ==YQ==", "é", "Y*Q="])
def test_base64_that_is_none(text: str) -> None:
    with pytest.raises(Malformed):
        decode(text)


def test_octets_of_an_element_with_a_comment_inside() -> None:
    assert octets_of(etree.fromstring("<a>Y<!-- -->Q==</a>")) == b"a"


def test_names() -> None:
    assert split("{u}a") == ("u", "a")
    assert split("a") == ("", "a")
    assert split(etree.Comment) == ("", "")
    assert ds("Object") == f"{{{DS}}}Object"


def test_ecdsa_values_become_der() -> None:
    algorithm = Algorithm("ecdsa", "sha256")
    raw = (5).to_bytes(32) + (7).to_bytes(32)
    assert decode_dss_signature(der_signature(algorithm, raw)) == (5, 7)
    assert der_signature(algorithm, b"abc") == b"abc"
    assert der_signature(Algorithm("rsa-pkcs1", "sha256"), raw) == raw


def pss(inside: str) -> Algorithm | None:
    params = f'<p:RSAPSSParams xmlns:p="{PSS}">{inside}</p:RSAPSSParams>'
    return signature_algorithm(etree.fromstring(f'<ds:SignatureMethod xmlns:ds="{DS}" Algorithm="{PSS}rsa-pss">{params}</ds:SignatureMethod>'))


def test_pss_parameters() -> None:
    sha384 = '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#sha384"/>'
    assert pss("") == Algorithm("rsa-pss", "sha256", "sha256", 32)
    assert pss(sha384) == Algorithm("rsa-pss", "sha384", "sha384", 48)
    assert pss(f'{sha384}<p:MaskGenerationFunction Algorithm="{PSS}MGF1"/><p:SaltLength>20</p:SaltLength>') == Algorithm(
        "rsa-pss", "sha384", "sha256", 20
    )
    for wrong in (
        '<ds:DigestMethod Algorithm="u:x"/>',
        "<p:SaltLength>-1</p:SaltLength>",
        '<p:MaskGenerationFunction Algorithm="u:x"/>',
        "<p:More/>",
    ):
        assert pss(wrong) is None


def test_hmac_is_no_signature() -> None:
    assert signature_algorithm(etree.fromstring(f'<m Algorithm="{DS}hmac-sha1"/>')) is None


# Node sets


def test_holds_asks_for_everything_inside() -> None:
    tree = parse(b'<a><b x="1">t<c/>u</b><d/></a>')
    a, b, c = tree.root, tree.root[0], tree.root[0][0]
    whole = NodeSet(tree)
    assert whole.holds(a)
    assert whole.holds(c)
    assert not whole.without(c).holds(b)
    assert whole.without(c).holds(tree.root[1])
    assert not NodeSet(tree, b).holds(a)
    assert NodeSet(tree, b).holds(c)
    assert not NodeSet(tree, c).holds(b)
    assert NodeSet(tree, b).without(b).empty
    assert not NodeSet(tree, b).empty


def filtered(document: bytes, expression: str) -> NodeSet:
    transform = etree.fromstring(
        f'<ds:Transform xmlns:ds="{DS}" xmlns:n="u:n" Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>{expression}</ds:XPath></ds:Transform>'
    )
    data = apply([transform], NodeSet(parse(document)))
    assert isinstance(data, NodeSet)
    return data


def test_a_filter_that_drops_text_or_an_attribute_does_not_hold_the_element() -> None:
    document = b'<a><b x="1">t<c/>u</b></a>'
    for expression in (
        "not(self::text())",
        "not(self::node()[. = 'u'][not(self::*)])",
        "not(self::text()[. = 't'])",
        "not(name() = 'x')",
        "not(self::c)",
    ):
        nodes = filtered(document, expression.replace("self::c", "ancestor-or-self::c"))
        assert not nodes.holds(nodes.tree.root[0]), expression
    nodes = filtered(document, "not(ancestor-or-self::z) and true()")
    assert nodes.holds(nodes.tree.root)


def test_a_transform_that_selects_nothing_is_refused_where_it_stands() -> None:
    with pytest.raises(Unacceptable, match="nothing"):
        filtered(b"<a/>", "false()")
    enveloped = etree.fromstring(f'<ds:Signature xmlns:ds="{DS}"><ds:Transform Algorithm="{DS}enveloped-signature"/></ds:Signature>')
    tree = parse(etree.tostring(enveloped))
    with pytest.raises(Unacceptable, match="nothing"):
        apply([tree.root[0]], NodeSet(tree))


def test_transform_chain_is_short() -> None:
    one = etree.fromstring(f'<ds:Transform xmlns:ds="{DS}" Algorithm="{"http://www.w3.org/2001/10/xml-exc-c14n#"}"/>')
    nodes = NodeSet(parse(b"<a/>"))
    assert octets(apply([one] * 10, nodes)) == b"<a></a>"
    with pytest.raises(Unacceptable, match="transforms"):
        apply([one] * 11, nodes)


def test_octets_without_canonicalisation_are_canonical_xml_1_0() -> None:
    nodes = NodeSet(parse(b"<a xml:lang='x'><b Id='b'/></a>"))
    apex = NodeSet(nodes.tree, nodes.tree.root[0])
    assert octets(apex) == b'<b Id="b" xml:lang="x"></b>'
    assert canonicalize(apex, EXC) == b'<b Id="b"></b>'


# XPath, against libxml2

PAPER = parse(
    b'<?s t?><!--q--><r xmlns="u:r" xmlns:n="u:n" Id="top"><n:a x="1" n:y="2">one<b>two</b>three<!--c--><?p i?></n:a>'
    b'<n:a x="3"><b k="4"><c/></b><b>5</b> </n:a><d Id="dd"> 7 </d></r><!--z-->'
)
NAMESPACES = {"n": "u:n", "r": "u:r"}

EXPRESSIONS = [
    "/*", "//*", "//n:a", "/r:r/n:a/r:b", "//r:b[2]", "//r:b[last()]", "//n:a[@x='3']/r:b", "//n:a[@x > 1]", "//*[not(*)]", "//*[r:b]",
    "//r:c/ancestor::*", "//r:c/ancestor::*[2]", "//r:b/preceding::r:b", "//r:b/following::*", "//r:b/following-sibling::r:b",
    "//r:d/preceding-sibling::*", "//n:a | //r:d", "//*[local-name() = 'b' and position() = 1]", "//*[namespace-uri() = 'u:n']",
    "//*[name() = 'n:a']", "//*[starts-with(name(), 'n:')]", "//*[contains(., 'two')]", "//*[count(r:b) = 2]", "//*[count(*) mod 2 = 0]",
    "//*[string-length(normalize-space(.)) = 1]", "//*[. = //r:d]", "//*[. != '5']", "//*[@*]", "//*[@n:y]", "//*[@n:*]", "//n:*",
    "/descendant::*[3]", "/descendant-or-self::node()/r:b", "//r:b/..", "//r:b/.", "//*[self::r:b or self::r:d]", "//*[boolean(r:b)]",
    "//*[concat(@x, 'z') = '1z']", "//*[substring-before('a-b', '-') = 'a']", "//*[substring-after('a-b', '-') = 'a']", "//*[-1 < 0]",
    "//*[1 + 1 = 2][3 - 1 = 2]", "//*[true()][not(false())]", "//*[comment()]", "//*[processing-instruction('p')]", "//*[text()]", "//r:b[r:c]/r:c",
    "//*[string(@x) = '']", "//*[number(@x) = 3]", "//*[@x = 1 or @k = 4]", "//*[ancestor-or-self::n:a]", "//*[not(ancestor-or-self::n:a)]",
    "//*[. = 5]", "//*[position() != last()]", "//*[//r:d = ' 7 ']", "(//r:b)/r:c", "//*[r:b/r:c]", "//*[6 div 3 = 2]", "//*[*[1][self::r:b]]",
]  # fmt: skip


def ours(tree: Tree, text: str) -> Any:
    return Query(text, NAMESPACES, tree, Budget()).value(tree)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_elements_as_libxml2_finds_them(expression: str) -> None:
    found = ours(PAPER, expression)
    assert isinstance(found, list)
    theirs = PAPER.root.getroottree().xpath(expression, namespaces=NAMESPACES)
    assert {id(e) for e in found} == {id(e) for e in theirs}


@pytest.mark.parametrize(
    "expression",
    [
        "count(//text())", "count(//@*)", "count(//comment())", "count(//node())", "count(//processing-instruction())", "string(//r:b)",
        "string(//n:a[1]/@n:y)", "local-name(//n:a)", "name(//@n:y)", "namespace-uri(//@n:y)", "count(//r:c/namespace::*[name() != 'xml'])",
        "normalize-space(string(/))", "count(/)", "string(2 = 2.0)", "string(1 div 2)",
        "count(//text()[normalize-space() = ''])", "string(//comment())",
        "count(//*/@x[. = '3'])", "string(count(//*) > 3)", "count(/node())",
    ],
)  # fmt: skip
def test_values_as_libxml2_computes_them(expression: str) -> None:
    assert ours(PAPER, expression) == PAPER.root.getroottree().xpath(expression, namespaces=NAMESPACES)


def test_text_and_attributes_are_nodes_of_their_own() -> None:
    assert [(n.owner.tag, n.tail) for n in ours(PAPER, "//n:a[1]/text()") if isinstance(n, Text)] == [("{u:n}a", False), ("{u:r}b", True)]
    assert [n.key for n in ours(PAPER, "//n:a[1]/@*") if isinstance(n, Attribute)] == ["x", "{u:n}y"]


def test_here_and_id() -> None:
    element = PAPER.root[1]
    assert Query("here()/r:b[1]", NAMESPACES, PAPER, Budget(), element).value(PAPER) == [element[0]]
    assert ours(PAPER, "id('dd')") == [PAPER.root[2]]
    assert ours(PAPER, "id('none dd top')") == [PAPER.root[2], PAPER.root]
    with pytest.raises(Unacceptable):
        ours(PAPER, "here()")
    doubled = parse(b"<a><b Id='x'/><c Id='x'/></a>")
    with pytest.raises(Unacceptable):
        ours(doubled, "id('x')")


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "//",
        "/r:r/",
        "//*[",
        "//*]",
        "a b",
        "1 +",
        "foo:bar",
        "@",
        "child::",
        "nowhere::a",
        "a::b",
        "'open",
        "(1",
        "f(1",
        "//a[1]]",
        "a//",
        "\x00",
        "::",
        "a:*:b",
    ],
)
def test_what_is_no_xpath(expression: str) -> None:
    with pytest.raises(Malformed):
        ours(PAPER, expression)


FOREIGN = ["$x", "document('x')", "lang('en')", "translate('a','b','c')", "(//*)[2]", "not()", "a" * 3000, "(" * 30 + "1" + ")" * 30]


@pytest.mark.parametrize("expression", FOREIGN)
def test_what_is_not_offered(expression: str) -> None:
    with pytest.raises(Unacceptable):
        ours(PAPER, expression)


BOMBS = [
    "//*[//*[//*]]", "count(//*[count(//*[count(//*)>0])>0])", "//*[string(/) = string(/)]", "//*/following::*/preceding::*",
    "//*/preceding-sibling::*", "//*/following-sibling::node()[1]", "//a[. != //a[. != //a]] and //*[//a != //a[//a]]",
]  # fmt: skip


@pytest.mark.parametrize("expression", BOMBS)
def test_the_budget_ends_it(expression: str) -> None:
    tree = parse(b"<r>" + b"<a>text of some length</a>" * 20_000 + b"</r>")
    begun = time.perf_counter()
    with pytest.raises(Unacceptable, match=str(STEPS)):
        ours(tree, expression)
    assert time.perf_counter() - begun < 5


def test_a_large_document_is_canonical_fast() -> None:
    """Ten thousand elements: well under a second even on a busy machine."""
    tree = parse(b"<r xmlns:p='u:p'>" + b"<p:a x='1' y='2'>text &amp; more</p:a>" * 10_000 + b"</r>")
    begun = time.perf_counter()
    made = canonicalize(NodeSet(tree), EXC)
    assert len(made) > 400_000
    assert time.perf_counter() - begun < 2
    assert base64.b64encode(made[:2]) == b"PHI="
