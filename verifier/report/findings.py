"""Each sub-indication of EN 319 102-1 (tables 5 and 6) in plain words: what was found, and what to do about it. English and Japanese."""

from typing import NamedTuple


class Words(NamedTuple):
    """One text in each language."""

    en: str
    ja: str


class Finding(NamedTuple):
    why: Words
    todo: Words


_ORIGINAL = Words(
    "Do not rely on this file. Ask whoever is named as its origin for the original.",
    "このファイルを信用しないでください。発行元とされる組織に原本を求めてください。",
)
_AGAIN = Words(
    "Ask the signer to sign it again, with software that follows the standard.",
    "標準に従ったソフトウェアで署名し直すよう、署名者に依頼してください。",
)
_NEW = Words(
    "Do not rely on it. Ask the organisation named, through a channel you know, for a newly signed file.",
    "信用しないでください。記載された組織に、ご自身で確認できる連絡先を通じて、署名し直したファイルを求めてください。",
)
_STATUS = Words(
    "Ask for the file with its long-term data (level LT or LTA), or give the authority's current revocation list beside it (--crl FILE).",
    "長期検証用データを含むファイル（LT または LTA レベル）を求めるか、認証局の最新の失効リストを --crl ファイル名 で添えてください。",
)
_PROOF = Words(
    "Ask whether a copy with an older or renewed time-stamp exists; without one the time of signing can no longer be shown.",
    "古い、または更新されたタイムスタンプのある写しがないか確認してください。なければ、いつ署名されたかを証明する方法はありません。",
)
TRUST = Words(
    "If you know the authority, get its root certificate from the authority itself (not from this file), and name it with --trust FILE.",
    "知っている認証局であれば、ルート証明書を（このファイルからではなく）認証局から直接入手し、--trust ファイル名 で指定してください。",
)
_POLICY = Words(
    "See the requirement that was not met (--json lists all); ask the signer to meet it.",
    "満たされなかった要件を確認し（--json ですべて表示）、署名者に対応を依頼してください。",
)

FINDINGS: dict[str, Finding] = {
    "FORMAT_FAILURE": Finding(
        Words(
            "The signature breaks the rules of its own format and cannot be read safely.",
            "署名またはタイムスタンプが形式の規則に反しており、安全に読み取れません。",
        ),
        Words(
            "Ask for the file again, straight from its source; if it stays so, it has to be signed again.",
            "元の発行元からファイルを受け取り直してください。同じ結果なら、署名し直しが必要です。",
        ),
    ),
    "HASH_FAILURE": Finding(
        Words(
            "The content is not what was signed: it was changed afterwards, or it is another file.",
            "内容が署名されたものと一致しません。署名後に変更されたか、別のファイルです。",
        ),
        _ORIGINAL,
    ),
    "SIG_CRYPTO_FAILURE": Finding(
        Words(
            "The signature was not made with the named signer's key over these data: it is damaged or forged.",
            "署名が、記載された署名者の鍵で作られたものではありません。破損しているか、偽造されています。",
        ),
        _ORIGINAL,
    ),
    "REVOKED": Finding(
        Words(
            "The signer's certificate had been revoked before the signature is known to have existed.",
            "署名の存在が確認できる時点より前に、署名者の証明書が失効していました。",
        ),
        _NEW,
    ),
    "EXPIRED": Finding(
        Words("The signature was made after the signer's certificate had expired.", "署名者の証明書の有効期間が過ぎてから署名されています。"),
        _NEW,
    ),
    "NOT_YET_VALID": Finding(
        Words("The signature was made before the signer's certificate was valid.", "署名者の証明書の有効期間が始まる前に署名されています。"),
        _NEW,
    ),
    "SIG_CONSTRAINTS_FAILURE": Finding(
        Words(
            "The signature does not have everything that the policy requires of one.",
            "署名が検証ポリシーの求める要件を満たしていません。",
        ),
        _POLICY,
    ),
    "CHAIN_CONSTRAINTS_FAILURE": Finding(
        Words(
            "A certificate between the signer and the trusted authority breaks a rule, or is meant for another purpose.",
            "署名者から信頼する認証局までの証明書に、規則違反または用途違いのものがあります。",
        ),
        _POLICY,
    ),
    "CERTIFICATE_CHAIN_GENERAL_FAILURE": Finding(
        Words(
            "The certificates between the signer and the trusted authority could not be confirmed.",
            "署名者から信頼する認証局までの証明書を確認できませんでした。",
        ),
        _STATUS,
    ),
    "CRYPTO_CONSTRAINTS_FAILURE": Finding(
        Words(
            "An algorithm or a key was already too weak when it was used.",
            "使用時点ですでに安全とされない暗号方式または鍵が使われています。",
        ),
        Words(
            "Ask the signer to sign it again with an algorithm that is accepted today.",
            "現在認められている暗号方式で署名し直すよう、署名者に依頼してください。",
        ),
    ),
    "POLICY_PROCESSING_ERROR": Finding(
        Words(
            "The signature names rules of its own (a signature policy) that could not be read.",
            "署名が指定する規則（署名ポリシー）を読み取れませんでした。",
        ),
        _POLICY,
    ),
    "SIGNATURE_POLICY_NOT_AVAILABLE": Finding(
        Words(
            "The signature names rules of its own (a signature policy) that are not here.",
            "署名が指定する規則（署名ポリシー）の文書がありません。",
        ),
        Words("Ask the signer for the signature policy.", "署名ポリシーを署名者に求めてください。"),
    ),
    "TIMESTAMP_ORDER_FAILURE": Finding(
        Words(
            "The times proved by the time-stamps contradict one another.",
            "タイムスタンプが示す時刻の前後関係が矛盾しています。",
        ),
        _NEW,
    ),
    "NO_SIGNING_CERTIFICATE_FOUND": Finding(
        Words(
            "The signer's certificate is not in the file, so nobody can tell who signed.",
            "署名者の証明書がファイルになく、誰が署名したのか分かりません。",
        ),
        _AGAIN,
    ),
    "NO_CERTIFICATE_CHAIN_FOUND": Finding(
        Words(
            "Nothing leads from the signer's certificate to an authority that you trust, so the name in it is only a claim.",
            "証明書をたどっても、信頼する認証局に行き着きません。記載された名前は自称にすぎません。",
        ),
        TRUST,
    ),
    "NO_CERTIFICATE_CHAIN_FOUND_NO_POE": Finding(
        Words(
            "Nothing leads to an authority that was trusted at a time when the signature is proved to have existed.",
            "証明書をたどっても、署名の存在を証明できる時点で信頼されていた認証局に行き着きません。",
        ),
        TRUST,
    ),
    "REVOKED_NO_POE": Finding(
        Words(
            "The signer's certificate has been revoked, and nothing proves that the signature is older than that.",
            "署名者の証明書は失効しており、署名がそれより前のものだと証明できません。",
        ),
        _PROOF,
    ),
    "REVOKED_CA_NO_POE": Finding(
        Words(
            "The certificate of an authority in between has been revoked, and nothing proves that the signature is older than that.",
            "中間の認証局の証明書が失効しており、署名がそれより前のものだと証明できません。",
        ),
        _PROOF,
    ),
    "OUT_OF_BOUNDS_NOT_REVOKED": Finding(
        Words(
            "The signer's certificate is outside its period of validity (it was not revoked), and nothing proves that the signature is older.",
            "署名者の証明書は有効期間外です（失効はしていません）。署名が有効期間内のものだと証明できません。",
        ),
        _PROOF,
    ),
    "OUT_OF_BOUNDS_NO_POE": Finding(
        Words(
            "A certificate is outside its period of validity, and nothing proves that the signature was made within it.",
            "証明書が有効期間外で、署名が有効期間内のものだと証明できません。",
        ),
        _PROOF,
    ),
    "REVOCATION_OUT_OF_BOUNDS_NO_POE": Finding(
        Words(
            "The certificate of whoever answered for revocation is outside its period of validity, and nothing proves that the answer is older.",
            "失効情報の発行者の証明書が有効期間外で、失効情報が有効期間内のものだと証明できません。",
        ),
        _STATUS,
    ),
    "CRYPTO_CONSTRAINTS_FAILURE_NO_POE": Finding(
        Words(
            "An algorithm or a key is no longer safe, and nothing proves that the signature dates from when it was.",
            "使われた暗号方式または鍵は現在では安全とされず、安全だった時期の署名だと証明できません。",
        ),
        _PROOF,
    ),
    "NO_POE": Finding(
        Words(
            "Nothing proves that the signature existed when it still could be trusted.",
            "信頼できた時点で署名が存在していたことを証明するものがありません。",
        ),
        _PROOF,
    ),
    "TRY_LATER": Finding(
        Words(
            "Whether the certificate has been revoked is not known: no answer that is fresh enough is here.",
            "証明書が失効していないか確認できません。十分に新しい失効情報がないためです。",
        ),
        _STATUS,
    ),
    "SIGNED_DATA_NOT_FOUND": Finding(
        Words(
            "What was signed is not in the file: the signature is kept apart from it.",
            "署名の対象がファイルの中にありません。署名と対象が別のファイルになっています。",
        ),
        Words(
            "Name the file that was signed with --detached FILE.",
            "署名の対象となったファイルを --detached ファイル名 で指定してください。",
        ),
    ),
}

UNEXPLAINED = Finding(
    Words("A requirement was not met.", "要件が満たされていません。"),
    _POLICY,
)
"""Where the process gives no sub-indication."""
