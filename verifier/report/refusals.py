"""Why an evidence record cannot be read, in Japanese: the refusals of trust.codecs.hashtree and trust.codecs.xmlers, by their templates.

They stand in reports behind "evidence record cannot be read"; `{}` is a value (verifier.report.wording).
"""

REFUSALS: dict[str, str] = {
    "evidence record: version 1 expected, got {}": "版は 1 のはずだが {0} である",
    "evidence record: digest algorithms, each once, expected": "ハッシュ関数の一覧がないか、同じ方式が二度ある",
    "evidence record over encrypted data (RFC 4998 section 6) is not read": "暗号化されたデータに対するもの（RFC 4998 第6節）は扱わない",
    "evidence record over encrypted data (RFC 6283 section 5) is not read": "暗号化されたデータに対するもの（RFC 6283 第5節）は扱わない",
    "evidence record without an archive time-stamp": "アーカイブタイムスタンプがない",
    "evidence record: an archive time-stamp uses a digest that the record does not name": (
        "アーカイブタイムスタンプのハッシュ関数がレコードの一覧にない"
    ),
    "evidence record: up to {} chains of 1 to {} archive time-stamps expected, got {} of {}": (
        "チェーンは {0} まで、各チェーンのアーカイブタイムスタンプは 1 から {1} までのはずだが、チェーンが {2}、タイムスタンプが {3} ある"
    ),
    "evidence record: a reduced hash tree has 1 to {} values": "縮約ハッシュ木の値は 1 から {0} までのはずである",
    "evidence record: attributes are one or more, each with a value": "属性の組が空であるか、値のない属性がある",
    "XML evidence record: element EvidenceRecord expected": "EvidenceRecord 要素ではない",
    "XML evidence record: version {} expected, got another": "版が {0} でない",
    "XML evidence record: canonicalisation is not one that is known here": "正規化の方式が検証側で未知である",
    "XML evidence record: time-stamps of type RFC3161 expected": "RFC3161 の種類ではないタイムスタンプがある",
    "XML evidence record: cryptographic information is not of the type that it says": "暗号情報の種類が表示と異なる",
    "XML evidence record: one element {} expected, got {}": "{0} 要素は一つのはずだが {1} ある",
    "XML evidence record: Order counts from 1 without gaps": "Order が 1 からの連番でない",
    "XML evidence record: {}": "XML 形式の証拠レコード：{0}",
}
