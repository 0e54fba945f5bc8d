"""XML for signatures: a hardened parser, canonicalisation of whole documents and of subsets, and the transforms that are safe.

Shared by the verifier's reader and the sealer's writer; it holds no opinion about XAdES.
"""

from trust.codecs.xml.c14n import DEFAULT, METHODS, Method, canonicalize, method_of
from trust.codecs.xml.nodes import Chosen, NodeSet
from trust.codecs.xml.parse import MAX_BYTES, Tree, id_of, looks_like_xml, parse

__all__ = ["DEFAULT", "MAX_BYTES", "METHODS", "Chosen", "Method", "NodeSet", "Tree", "canonicalize", "id_of", "looks_like_xml", "method_of", "parse"]
