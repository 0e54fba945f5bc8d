"""Mutants of the process, made by hand, clause by clause: a wrong verifier that the stories must tell from the right one.

Each is a module, a piece of its source, and what stands there instead. A mutant that no story kills shows the story that is missing.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    clause: str
    module: str
    old: str
    new: str
    more: tuple[tuple[str, str], ...] = ()
    """Further changes of the same module: what is guarded twice must be broken twice."""

    @property
    def name(self) -> str:
        return f"{self.clause}: {self.old.strip()[:60]} -> {self.new.strip()[:40] or 'nothing'}"


_BASIC, _CHAIN, _LONG, _PAST, _ARCHIVE = (f"verifier.process.{m}" for m in ("basic", "chain", "longterm", "past", "archive"))
_RULES, _SEARCH, _ANSWER, _STATUS = "verifier.chains.rules", "verifier.chains", "verifier.revocation.answer", "verifier.revocation.status"

MUTANTS: tuple[Mutant, ...] = (
    # 5.2.2 to 5.2.4
    Mutant("5.2.2", _BASIC, "        if defect.fatal:", "        if False:"),
    Mutant("5.2.2", _BASIC, "    whole = case.evidence.defects if", "    whole = () if"),
    Mutant("5.2.2", _BASIC, "status = broken if broken.indication is Indication.FAILED else status", "status = broken"),
    Mutant("5.2.3", _BASIC, "    found = signature.signer is not None and bool(readable((signature.signer,)))", "    found = True"),
    Mutant("5.2.3", _BASIC, "reference.digest_matches is True", "reference.digest_matches is not None"),
    Mutant("5.2.3", _BASIC, "reference.digest_matches is True", "reference.digest_matches is not False"),
    Mutant("5.2.4", _BASIC, "known = named in rules.policies", "known = True"),
    # 5.2.5
    Mutant("5.2.5", _CHAIN, "at - answer.this_update < age", "True"),
    Mutant("5.2.5", _CHAIN, "at - answer.this_update < age", "answer.this_update > at"),
    Mutant("5.2.5", _CHAIN, "at = min(self.used_at, now) if", "at = now if"),
    Mutant("5.2.5", _LONG, "ok = any(is_fresh(case, a, best) for a in own)", "ok = True"),
    Mutant("5.2.5", _LONG, "if a.id not in case.sources.given]", "]"),
    # 5.2.6
    Mutant("5.2.6", _CHAIN, "                self._require(False, _broken(fault), level)", "                pass"),
    Mutant("5.2.6", _CHAIN, "            self._require(ok, Problem(Kind.BROKEN, sub, 0, clause, why), level)", "            pass"),
    Mutant("5.2.6", _CHAIN, "named = own.purposes is not None and TIME_STAMPING in own.purposes", "named = True"),
    Mutant("5.2.6", _CHAIN, "and own.extensions[EXTENDED_KEY_USAGE][0] and not own.ca", "and not own.ca"),
    Mutant("5.2.6", _CHAIN, "[0] and not own.ca", "[0]"),
    Mutant("5.2.6", _CHAIN, "known = any(has_information(a, facts(cert)) for a in usable)", "known = bool(usable)"),
    Mutant("5.2.6", _CHAIN, "self._require(known, Problem(", "self._require(True, Problem("),
    Mutant("5.2.6", _CHAIN, "return self.rules.issuer_status if index else self.rules.status", "return Level.IGNORE if index else self.rules.status"),
    Mutant("5.2.6", _CHAIN, "now >= latest.revoked_at and not latest.on_hold:", "False:"),
    Mutant("5.2.6", _CHAIN, "        elif latest.revoked_at is not None and now >= latest.revoked_at:", "        elif False:"),
    Mutant("5.2.6", _CHAIN, "SubIndication.REVOKED_CA_NO_POE if index else", "SubIndication.REVOKED_NO_POE if index else"),
    Mutant("5.2.6", _CHAIN, "self._require(self.case.is_reliable(until, self.case.now), problem)", "pass"),
    Mutant("5.2.6", _CHAIN, "materials += status_materials(self.case, self.chosen[index])", "pass"),
    Mutant("5.2.6", _CHAIN, "self._require(valid, Problem(Kind.AUTHORITY_OUTSIDE,", "self._require(True, Problem(Kind.AUTHORITY_OUTSIDE,"),
    Mutant("5.2.6", _CHAIN, "self._require(valid, Problem(Kind.OUTSIDE,", "self._require(True, Problem(Kind.OUTSIDE,"),
    Mutant("5.2.6", _CHAIN, "self._require(signer_valid, problem, self.rules.status_issuer_valid)", "pass"),
    Mutant("5.2.6", _CHAIN, "return next((a for a in usable if a.revoked and not a.on_hold), usable[0])", "return usable[0]"),
    Mutant("5.2.6", _CHAIN, "return next((a for a in usable if a.revoked and not a.on_hold), usable[0])", "return usable[-1]"),
    Mutant("5.2.6", _CHAIN, "if latest.revoked or self._confirmed(index, latest):", "if True:"),
    Mutant("5.2.6", _CHAIN, "if latest.revoked or self._confirmed(index, latest):", "if self._confirmed(index, latest):"),
    Mutant("5.2.6", _CHAIN, "takewhile(lambda a: not a.revoked, usable)", "usable"),
    Mutant("5.2.6", _CHAIN, "        if not index and not self._status_signer_valid(answer):\n            return False\n", ""),
    Mutant("5.2.6", _CHAIN, "        return all(self.case.is_reliable(until, self.case.now) for _, _", "        return True or all(True for _, _"),
    Mutant("5.2.6", _CHAIN, "    if unusable(answer, path.certs[index]) is not None or", "    if"),
    Mutant("5.2.6", _CHAIN, " or is_key_and_name(answer.signer, path.certs[index]):", ":"),
    Mutant("5.2.6", _CHAIN, "        if not any(has_information(a, facts(cert)) for a in usable):\n            return False\n", ""),
    Mutant("5.2.6", _CHAIN, "case.policy.status.responder is not Responder.CHAIN:", "False:"),
    Mutant("5.2.6", _CHAIN, "_disowned(latest_answer(usable), case.now):", "False:"),
    Mutant("5.2.6", _CHAIN, "self._require(self.case.now < since, problem)", "pass"),
    Mutant("5.2.6", _CHAIN, "if own.self_issued and signed_by(cert, cert):", "if own.self_issued:"),
    # RFC 5280
    Mutant("RFC 5280 6.1.3 (a) (1)", _SEARCH, "            if signed_by(chain[-1], issuer):", "            if True:"),
    Mutant("RFC 5280 6.1.5 (f)", _RULES, "for oid in cert.unknown_critical]", "for oid in ()]"),
    Mutant("RFC 5280 6.1.4 (k)", _RULES, "    if not cert.ca:", "    if False:"),
    Mutant("RFC 5280 6.1.4 (m)", _RULES, "or below <= cert.path_length:", "or True:"),
    Mutant("RFC 5280 6.1.4 (m)", _RULES, "    found += _of_anchor(chain)\n", ""),
    Mutant("RFC 5280 6.1.4 (n)", _RULES, '"key_cert_sign" not in cert.key_usage', "False"),
    Mutant("RFC 5280 6.1.3 (b), (c)", _RULES, "if not all(c.allow(names) for c in constraints):", "if False:"),
    # RFC 6960, RFC 5280 6.3
    Mutant("5.2.6", _ANSWER, "    if answer.this_update < own.not_before:", "    if False:"),
    Mutant("5.2.6", _ANSWER, "    if not answer.revoked and not has_information(answer, own):", "    if False:"),
    Mutant("5.2.6", _ANSWER, "not signer.not_before <= answer.produced <= signer.not_after:", "False:"),
    Mutant("RFC 6960 4.2.2.2", _STATUS, "OCSP_SIGNING not in own.purposes", "False"),
    Mutant("RFC 6960 4.2.2.2", _STATUS, "if own.purposes is None or OCSP_SIGNING not in own.purposes", "if False"),
    Mutant("RFC 6960 4.2.2.2", _STATUS, "and signed_by(candidate, above):", "or True:"),
    Mutant("RFC 6960 2.2", _STATUS, "if not single.known or not", "if not"),
    Mutant("RFC 6960 4.1.1", _STATUS, "not single.concerns(own, above)", "False"),
    Mutant("RFC 6960 3.2", _STATUS, "if authority is None or not _signed(ocsp, candidate):", "if authority is None:"),
    Mutant("RFC 5280 6.3.3 (g)", _STATUS, "_may_sign_lists(above) and _verified(crl, issuer)", "_may_sign_lists(above)"),
    Mutant("RFC 5280 6.3.3 (f)", _STATUS, '"crl_sign" in cert.key_usage', "True"),
    # 5.2.7, 5.2.8
    Mutant("5.2.7", _BASIC, "trace.require(bool(references),", "trace.require(True,"),
    Mutant("5.2.7", _BASIC, "trace.require(reference.found,", "trace.require(True,"),
    Mutant("5.2.7", _BASIC, "trace.require(reference.intact,", "trace.require(True,"),
    Mutant("5.2.7", _BASIC, "    trace.require(value_intact,", "    trace.require(True,"),
    Mutant("5.2.7", _BASIC, '(Reference("message imprint", stamp.found, stamp.intact, digest=stamp.token.imprint), *', "(*"),
    Mutant("5.2.8", _BASIC, "trace.require(not defect.refused,", "trace.require(True,"),
    Mutant("5.2.8", _BASIC, "trace.require(count > 0,", "trace.require(True,"),
    Mutant("5.2.8", _BASIC, "trace.require(count < 2,", "trace.require(True,"),
    Mutant("5.2.8", _BASIC, "trace.require(claimed is not None,", "trace.require(True,"),
    Mutant("5.2.8", _BASIC, "        trace.require(within,", "        trace.require(True,"),
    Mutant("5.2.8", _BASIC, "        trace.require(covers,", "        trace.require(True,"),
    Mutant("5.2.8.4", _BASIC, "trace.require(case.is_reliable(algorithm.until, at), clause,", "trace.require(True, clause,"),
    Mutant("5.2.8.4", _BASIC, "| (set(signature.mechanisms) - {reference})", ""),
    Mutant("5.2.8.4", "verifier.process.context", "and self.policy.algorithms.forecasts is not Level.FAIL", ""),
    Mutant("5.2.8.4", "verifier.process.context", "return at < until or forecast", "return at < until"),
    # 5.3
    Mutant("5.3.4 step 4", _BASIC, "first.index == 0 and first.at is not None and newest > first.at:", "False:"),
    Mutant("5.3.4 step 4", _BASIC, "elif first.kind is Kind.OUTSIDE and newest > facts(chain.cert).not_after:", "elif False:"),
    Mutant(
        "5.3.4 step 5",
        _BASIC,
        "    status = integrity\n    if status.passed:\n        status = _certificate_status",
        "    status = PASSED\n    if True:\n        status = _certificate_status",
    ),
    # 5.4
    Mutant("5.4", _ARCHIVE, "Purpose.UNIT, trace, stamp=stamp)", "Purpose.SIGNER, trace, stamp=stamp)"),
    Mutant("5.4", _ARCHIVE, "trace.require(time >= known.not_before,", "trace.require(True,"),
    Mutant("5.4", _ARCHIVE, "trace.require(time <= known.not_after,", "trace.require(True,"),
    Mutant("5.4", _ARCHIVE, "if self._stands(place) and self.basics[place].status.passed)", ")"),
    # 5.5
    Mutant("5.5.4 step 3", _LONG, "best = min((s.token.gen_time for s in", "best = max((s.token.gen_time for s in"),
    Mutant("5.5.4 step 3", _LONG, "if s.kind in _AFTER_SIGNING and signature.id in s.covers)", "if s.kind in _AFTER_SIGNING)"),
    Mutant("5.5.4 step 4", _LONG, "trace.require(best >= facts(chain.cert).not_before,", "trace.require(True,"),
    Mutant("5.5.4 step 4 a)", _LONG, "before = problem.at is not None and best < problem.at", "before = True"),
    Mutant("5.5.4 step 4 d)", _LONG, "within = chain.cert is not None and best <= facts(chain.cert).not_after", "within = True"),
    Mutant("5.5.4 step 4 b)", _LONG, "trace.require(known and within,", "trace.require(within,"),
    Mutant(
        "5.5.4 step 4 b)",
        _LONG,
        "        case _:\n            trace.require(False, problem.clause,",
        "        case _:\n            trace.require(True, problem.clause,",
    ),
    Mutant("5.5.4 step 4 e)", _LONG, 'trace.require(ok, "5.5.4 step 4 e)"', 'trace.require(True, "5.5.4 step 4 e)"'),
    Mutant("5.5.4 step 4 e)", _LONG, "one.token.gen_time - slack > other.token.gen_time", "one.token.gen_time > other.token.gen_time"),
    Mutant("5.5.4 step 5", _LONG, "    _delay(case, signature, best, trace)\n", ""),
    Mutant("5.5.4 step 6", _LONG, "        _freshness(case, basic, best, trace)\n", ""),
    Mutant("5.5.4 step 8", _LONG, '    reliable_at(case, basic.algorithms, best, trace, "5.5.4 steps 4 c), 8")\n', ""),
    Mutant("5.5.4 step 9", _LONG, "    if not basic.acceptance.passed:\n        raise Concluded(basic.acceptance)\n", ""),
    # 5.6
    Mutant("5.6.2.2 step 2 a)", _PAST, "proofs.of(a.id) <= control and proofs.of(cert.id) <= control", "True"),
    Mutant(
        "5.6.2.4 step 3 a)",
        _PAST,
        'trace.require(proved, "5.6.2.4 step 3"',
        'trace.require(True, "5.6.2.4 step 3"',
        (("proofs.of(a.id) <= control and proofs.of(cert.id) <= control", "True"),),
    ),
    Mutant(
        "5.6.2.2 step 2 a)",
        _PAST,
        "                    raise Concluded(subject.current)\n            else",
        "                    pass\n            else",
    ),
    Mutant("5.6.2.2 step 2 b)", _PAST, "control = min(control, latest.revoked_at)", "pass"),
    Mutant("5.6.2.2 step 2 c)", _PAST, "            control = min(control, latest.this_update)", "            pass"),
    Mutant("5.6.2.2 step 2 d)", _PAST, "        control = min(control, _weakened(case, chain, index, latest, control))\n", ""),
    Mutant("5.6.2.3", _ARCHIVE, "progress.stamps[place].indication is Indication.PASSED and stamp.intact:", "True:"),
    Mutant("5.6.2.3", _ARCHIVE, "extended(case.covered(stamp), stamp.token.gen_time)", "extended((), stamp.token.gen_time)"),
    Mutant("5.6.2.4 step 1", _PAST, "proofs.of(a.signer.id) <= facts(a.signer).not_after)", "True)"),
    Mutant("5.6.2.4 step 1", _PAST, "        if not known:", "        if False:"),
    Mutant("5.6.2.4 step 3", _PAST, "trace.note(best <= control,", "trace.note(True,"),
    Mutant("5.6.2.4 step 3", _PAST, "trace.require(anchored or best >= cert.not_before,", "trace.require(True,"),
    Mutant("5.6.2.4 step 3", _PAST, "before = problem.at is not None and best < problem.at", "before = True"),
    Mutant("5.6.2.4 step 3", _PAST, "ok = known.not_before <= best <= known.not_after", "ok = True"),
    Mutant("5.6.2.4 step 4", _PAST, "ok = problem.at is not None and case.is_reliable(problem.at, at)", "ok = True"),
    Mutant(
        "5.6.2.4 step 5",
        _PAST,
        "            fresh = is_fresh(case, latest_answer(chain.acceptable[problem.index]), best)",
        "            fresh = True",
    ),
    Mutant("5.6.3.4 step 1", _ARCHIVE, "        progress.proofs = start\n", ""),
    Mutant("5.6.3.4 step 1", _ARCHIVE, "    trace.require(record.intact,", "    trace.require(True,"),
    Mutant("5.6.3.4 step 1", _ARCHIVE, "complete = bool(record.tokens) and len(own) == len(record.tokens)", "complete = True"),
    Mutant("5.6.3.4 step 1", _ARCHIVE, "        if verdict.indication is not Indication.PASSED:", "        if False:"),
    Mutant("5.6.3.4 step 1", _ARCHIVE, 'trace.require(reference.intact, "5.6.3.4', 'trace.require(True, "5.6.3.4'),
    Mutant("5.6.3.4 step 1", _ARCHIVE, "zip([None, *reversed(own)], reversed(own), strict=False)", "zip([None, *own], own, strict=False)"),
    Mutant("5.6.3.4 step 1", "verifier.process", "        if evidence.stamps[place].kind is not StampKind.EVIDENCE_RECORD:", "        if True:"),
    Mutant("5.6.3.4 step 3", _ARCHIVE, "in SIGNATURE_RESCUED and has_archive(case.evidence, signature):", "in SIGNATURE_RESCUED:"),
    Mutant("5.6.3.4 step 5", _ARCHIVE, "p), reverse=True)", "p))"),
    Mutant("5.6.3.4 step 5", _ARCHIVE, "len(stamps[p].covers & tokens), p)", "0, -p)"),
    Mutant("5.6.3.4 step 5 c)", _ARCHIVE, "if not status.passed and status.sub_indication in RESCUED:", "if False:"),
    Mutant(
        "5.6.3.4 step 5 c)",
        _ARCHIVE,
        'return run(lambda: reliable_at(case, basic.algorithms, proofs.of(token), trace, "5.6.3.4 step 5"))',
        "return PASSED",
    ),
    Mutant(
        "5.6.3.4 step 8, 9", _ARCHIVE, "            status = run(lambda: accept_at(case, signature, basic, proved, best, trace))", "            pass"
    ),
    # Proofs of existence
    Mutant("5.6.2.3", "verifier.poe", "if when < self.of(thing)}", "}"),
    Mutant(
        "5.6.3.4 step 2",
        "verifier.poe",
        "return min(self._old.get(thing, self.now), self._recent.get(thing, self.now))",
        "return max(self._old.get(thing, self.now), self._recent.get(thing, self.now))",
    ),
)
