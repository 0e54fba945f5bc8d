"""The ETSI validation report: TS 119 102-2 v1.4.1 XML, made from the verdict itself. English alone, because programs read it.

| module | what |
|---|---|
| `xml` | elements, identifiers |
| `objects` | clause 4.4 validation objects and proofs of existence |
| `crypto` | clause 4.3.12.7 information about algorithms |
| `attributes` | annex A signature attributes, clause 4.3.8 signer |
| `reports` | clauses 4.2 and 4.3: the report and its parts |
"""

from verifier.report.etsi.reports import etsi

__all__ = ["etsi"]
