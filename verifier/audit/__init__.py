"""`kakuin audit`: the time-stamps of a period, one row each, and what is wrong with them as a sequence.

Whoever audits trusts nobody here: the tokens are judged by the verifier against anchors that he names, the log by its key that he has. Pure are
`serials` (gaps, doubles, order), `clock` (what vouched for the time), `units` (which keys might issue when) and `auditor`, which holds all of it
against one entry after the other; `rows`, `summary` and `wording` say what was found; `sources`, `expected` and `commands` are the shell.
"""
