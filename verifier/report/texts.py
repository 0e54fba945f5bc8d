"""What reports say, in English and Japanese: one table an occasion. Plain words: the reader is a clerk or a citizen, not a cryptographer.

`{…}` is filled in by the report. A text never holds what a file says of itself: that is filled in, made printable.
"""

import re

from verifier.report.findings import FINDINGS, Words
from verifier.report.wording import CRL_REASONS

LANGUAGES = Words._fields

CONCLUSIONS = {
    "passed": Words("VALID", "有効"),
    "failed": Words("NOT VALID", "無効"),
    "indeterminate": Words("CANNOT TELL", "判定できません"),
    "nothing_signed": Words("NOTHING SIGNED", "署名がありません"),
}

OUTCOMES = {**CONCLUSIONS, "error": Words("NOT JUDGED", "読み取れません")}
"""Of one file among many."""

SUMMARIES = {
    "passed": Words(
        "Every signature holds, and what the file shows today is what was signed.",
        "すべての署名が有効です。ファイルの現在の内容は、署名されたものと一致しています。",
    ),
    "passed-stamps": Words(
        "Its time-stamps hold: the content existed at the time below. Nobody signed it, so they do not say whom it comes from.",
        "タイムスタンプが有効です。内容は下記の時刻に存在していました。署名はないため、誰が発行したかは分かりません。",
    ),
    "failed": Words("This file must not be relied on.", "このファイルは信用できません。"),
    "indeterminate": Words(
        "Nothing was found to be false, but what is here does not suffice to confirm it.",
        "改ざんなどの不正は見つかりませんでしたが、ここにある情報だけでは有効と確認できません。",
    ),
    "nothing_signed": Words(
        "The file carries no signature, seal or time-stamp. That says nothing about whether its content is true.",
        "このファイルには署名・eシール・タイムスタンプがありません。内容が正しいかどうかは判断できません。",
    ),
}

ADVICE = {
    "passed": Words("Nothing. Keep the file exactly as it is.", "何もする必要はありません。ファイルをこのまま保管してください。"),
    "failed": Words(
        "Do not rely on this file. Ask whoever is named as its origin for the original.",
        "このファイルを信用しないでください。発行元とされる組織に原本を求めてください。",
    ),
    "indeterminate": Words(
        "Do not rely on it yet. Ask whoever is named as its origin to confirm it.", "まだ信用しないでください。発行元とされる組織に確認してください。"
    ),
    "nothing_signed": Words(
        "If it should be signed, ask for the signed file, or for its separate signature, and name this one with --detached.",
        "署名されているはずなら、署名済みのファイルを求めてください。署名が別のファイルなら、それを検証し、このファイルを --detached で指定します。",
    ),
    "nothing-trusted": Words(
        "Say whom you trust: get the authority's root certificate from the authority itself (not from this file), and name it with --trust FILE.",
        "信頼する認証局を指定してください。ルート証明書を（このファイルからではなく）認証局から直接入手し、--trust ファイル名 で指定します。",
    ),
}

REASONS = {
    "nothing-signed": Words("There is nothing signed in the file", "ファイルの中に署名されたものがありません"),
    "signature-failed": Words("A signature is not valid", "無効な署名があります"),
    "signature-indeterminate": Words("A signature could not be confirmed", "確認できない署名があります"),
    "stamp-failed": Words("A time-stamp over the document is not valid", "文書に対するタイムスタンプが無効です"),
    "stamp-indeterminate": Words("A time-stamp could not be confirmed", "確認できないタイムスタンプがあります"),
    "stamp-not-valid": Words("A time-stamp does not count, and nothing depends on it", "有効でないタイムスタンプがありますが、判定には影響しません"),
    "record-failed": Words("An evidence record is not valid", "無効な証拠レコードがあります"),
    "record-indeterminate": Words("An evidence record could not be confirmed", "確認できない証拠レコードがあります"),
    "record-not-valid": Words(
        "An evidence record does not count, and nothing depends on it", "有効でない証拠レコードがありますが、判定には影響しません"
    ),
    "not-covered": Words("Something is shown or enclosed that no signature covers", "署名の対象になっていない内容が表示または同封されています"),
    "damaged-certificate": Words(
        "A certificate in the file was changed: it is not what its issuer signed",
        "ファイル内の証明書が改変されています（発行者が署名した内容と一致しません）",
    ),
    "permitted-change": Words("Changed after signing, as the signer permits", "署名者が許可した変更があります"),
    "malformed": Words("The file breaks the rules of its format", "ファイルが形式の規則に反しています"),
}
"""By `Reason.code`: why the file is concluded as it is. The subject and the detail follow the text."""

REMARKS = frozenset({"stamp-not-valid", "record-not-valid", "permitted-change"})
"""Reasons that keep nothing from passing."""

LABELS = {
    "why": Words("Why", "理由"),
    "todo": Words("To do", "対処"),
    "who": Words("Who", "誰が"),
    "when": Words("When", "いつ"),
    "covers": Words("Covers", "対象"),
    "says": Words("Says", "記載"),
    "proves": Words("Proves", "証明"),
    "notes": Words("Notes", "注意"),
    "chain": Words("Chain", "認証経路"),
    "signature": Words("Signature", "署名"),
    "counter-signature": Words("Counter-signature", "副署"),
    "seal": Words("Seal", "eシール"),
    "timestamp": Words("Time-stamp", "タイムスタンプ"),
    "record": Words("Evidence record", "証拠レコード"),
    "not-covered": Words("Unsigned", "対象外"),
    "checked": Words("Checked", "検証条件"),
    "of": Words("{n} of {total}", "{n}／{total}"),
    "checks": Words("Every requirement that was looked at ({count})", "確認した要件の一覧（{count} 件）"),
    "met": Words("met", "適合"),
    "unmet": Words("not met", "不適合"),
    "clause": Words("Clause", "規定"),
    "requirement": Words("Requirement", "要件"),
    "outcome": Words("Outcome", "結果"),
    "report": Words("Verification report", "検証結果報告書"),
    "page": Words("page {n} of {total}", "{n}／{total} ページ"),
    "file": Words("File", "ファイル"),
    "size": Words("Size", "大きさ"),
    "format": Words("Format", "形式"),
    "engine": Words("Verified with", "検証ソフトウェア"),
    "bundle": Words("Bundle", "検証資料（バンドル）"),
    "unobtained": Words("Missing", "取得できず"),
}

PHRASES = {
    "unknown-signer": Words("unknown: the signer's certificate is not in the file", "不明（署名者の証明書がファイルにありません）"),
    "unknown-authority": Words("an unknown authority", "不明な時刻認証局"),
    "claimed-name": Words("{name} (as the certificate says; not confirmed)", "{name}（証明書の記載であり、確認されていません）"),
    "corporate-number": Words("corporate number {number}", "法人番号 {number}"),
    "issued-by": Words("certificate of {issuer}", "証明書の発行者：{issuer}"),
    "existed": Words("existed at the latest on {time}, as a time-stamp proves", "{time}までに存在したことをタイムスタンプが証明"),
    "claimed": Words("the signer's own clock said {time} (not proved)", "署名者の時計では{time}（証明はありません）"),
    "ends": Words(
        "without a trusted time-stamp this can be confirmed only until {time}, when the signer's certificate ends",
        "信頼できるタイムスタンプがないため、署名者の証明書の期限{time}を過ぎると確認できなくなります",
    ),
    "said-reason": Words("reason: {text}", "理由：{text}"),
    "said-place": Words("place: {text}", "場所：{text}"),
    "said-role": Words("role: {text}", "立場：{text}"),
    "said-policy": Words("signature policy: {text}", "署名ポリシー：{text}"),
    "said": Words("these are the signer's own words; nothing proves them", "以上は署名者自身の申告であり、証明はありません"),
    "no-time": Words("no time is stated or proved", "時刻の記載も証明もありません"),
    "nothing-covered": Words("nothing that could be found", "見つかりませんでした"),
    "full": Words("{name}", "{name}"),
    "revision": Words("{name} (as it was then)", "{name}、その時点の内容"),
    "partial": Words("{name} (not the whole file)", "{name}（ファイルの一部）"),
    "digest": Words("{name} (compared by its digest; the file itself was not seen)", "{name}（ハッシュ値で照合。ファイル自体は見ていません）"),
    "manifest": Words("{name} (a list of further files)", "{name}（対象ファイルの一覧）"),
    "countersigned": Words("{name} (another signature)", "{name}（別の署名）"),
    "not-found": Words("{name}: NOT FOUND", "{name}：見つかりません"),
    "changed": Words("{name}: CHANGED since it was signed", "{name}：署名後に変更されています"),
    "origin": Words("origin: it comes from {name}", "発行元：{name}が発行したものです"),
    "no-origin": Words("origin: not proved", "発行元：証明されていません"),
    "existence": Words("existence: it existed in this form on {time}", "存在：{time}にこの内容で存在していました"),
    "no-existence": Words(
        "existence: no trusted time-stamp proves since when it exists", "存在：いつから存在するかを証明する信頼できるタイムスタンプがありません"
    ),
    "intent": Words("intent: {name} meant {what}", "意思：{name}による{what}の表明です"),
    "intent-person": Words("intent: {name} signed in person", "意思：{name}本人の署名です"),
    "no-intent": Words("intent: not proved", "意思：証明されていません"),
    "no-intent-seal": Words(
        "intent: not proved; a seal shows where a document comes from, not that a person agreed to it",
        "意思：証明されていません（eシールは文書の発行元を示すもので、個人の同意を示すものではありません）",
    ),
    "stamped": Words("{time} by {tsa}", "{time}、{tsa}"),
    "proved-existence": Words("existence: what it covers existed on {time}", "存在：対象は{time}に存在していました"),
    "checked-at": Words(
        "as of {time}, policy {policy}, trusted certificates: {anchors}", "{time}時点、ポリシー {policy}、信頼する証明書 {anchors} 件"
    ),
    "more": Words("and {count} more; the JSON report lists all", "ほか {count} 件（JSON形式の報告書にすべて記載）"),
    "bytes": Words("{count} bytes", "{count} バイト"),
    "unobtained": Words("{what} from {url}: {why}", "{what}（{url}）を取得できませんでした：{why}"),
    "nameless": Words("a file without a name", "名前のないファイル"),
    "not-proof": Words(
        "This page is a copy of the result for reading. It proves nothing by itself: verify the file again to be sure.",
        "この報告書は検証結果を読むための写しで、それ自体は証明になりません。確認が必要な場合はファイルを再度検証してください。",
    ),
    "permitted": Words("{name}: {why} (permitted)", "{name}：{why}（許可された変更）"),
    "grave": Words("{name}: {why}", "{name}：{why}"),
    "unmet": Words("not met: {what}", "満たされていない要件：{what}"),
    "trusted": Words("trusted", "信頼済み"),
    "CRL": Words("revocation list", "失効リスト"),
    "OCSP answer": Words("OCSP answer", "OCSP応答"),
    "good": Words("not revoked, {kind} of {date}", "失効なし（{date} の{kind}）"),
    "revoked": Words("REVOKED on {when} ({reason}), {kind} of {date}", "{when} に失効（{reason}、{date} の{kind}）"),
    "not checked": Words("revocation not known", "失効の有無は不明"),
    "summary": Words("{total} files: {counts}", "{total} 件：{counts}"),
    "cannot-judge": Words("The file could not be judged: {why}", "ファイルを判定できませんでした：{why}"),
}

MEANINGS = {
    "origin": Words("“I am the origin of this”", "「発行元であること」"),
    "receipt": Words("“I have received this”", "「受領したこと」"),
    "delivery": Words("“this was delivered”", "「送達したこと」"),
    "sender": Words("“I send this”", "「送信者であること」"),
    "approval": Words("“I approve of this”", "「承認すること」"),
    "creation": Words("“I made this”", "「作成したこと」"),
    "other": Words("a commitment of its own kind", "独自の意思"),
}
"""By commitment type (EN 319 122-1 clause 5.2.3)."""


STAMPS = {
    "content": Words("over the content, before it was signed", "署名前の内容に対するもの"),
    "signature": Words("over a signature", "署名に対するもの"),
    "references": Words("over references to validation data", "検証情報の参照に対するもの"),
    "validation-data": Words("over a signature and its validation data", "署名と検証情報に対するもの"),
    "archive": Words("for the archive, over everything before it", "長期保存のためのもの（それ以前のすべてが対象）"),
    "document": Words("over the whole document", "文書全体に対するもの"),
    "container": Words("over a file of the container", "コンテナ内のファイルに対するもの"),
    "evidence-record": Words("of an evidence record", "証拠レコードのもの"),
    "standalone": Words("by itself", "単独のもの"),
}
"""By `StampKind`: where a time-stamp stands."""


def say(words: Words, language: str) -> str:
    return words.ja if language == "ja" else words.en


def reason_text(code: str, subject: str, detail: str, language: str) -> str:
    """A reason in words, with what it is about, and with the finding where its detail is a sub-indication.

    A code without words (none should be) stands for itself.
    """
    text = say(REASONS.get(code, Words(code, code)), language)
    finding = FINDINGS.get(detail)
    if language == "ja":
        text += f"：{subject}" if subject else ""
        return f"{text}。{finding.why.ja}" if finding else text + (f"（{detail}）" if detail else "") + "。"
    text += f": {subject}" if subject else ""
    return f"{text}. {finding.why.en}" if finding else text + (f" ({detail})" if detail else "")


_GOOD = re.compile(r"good, (CRL|OCSP answer) of (\d{4}-\d\d-\d\d)")
_REVOKED = re.compile(r"revoked (\d{4}-\d\d-\d\d) \((.*)\), (CRL|OCSP answer) of (\d{4}-\d\d-\d\d)")


def revocation_text(found: str, language: str) -> str:
    """`ChainLink.revocation` in this language; empty where none was needed. What is not of a known form stays as it is."""
    if found == "not needed":
        return ""
    if good := _GOOD.fullmatch(found):
        return say(PHRASES["good"], language).format(kind=say(PHRASES[good[1]], language), date=good[2])
    if revoked := _REVOKED.fullmatch(found):
        when, reason, kind, date = revoked.groups()
        reason = CRL_REASONS.get(reason, reason) if language == "ja" else reason.replace("_", " ")
        return say(PHRASES["revoked"], language).format(when=when, reason=reason, kind=say(PHRASES[kind], language), date=date)
    return say(PHRASES["not checked"], language) if found == "not checked" else found
