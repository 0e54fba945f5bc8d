"""What the process requires, what readers found broken, and what things are called, in Japanese: tables beside the English of the sources.

English is written where it is found out (`trace.require`, `Defect`, `Uncovered`); here stands the same in Japanese, by its template. `{}` is a value;
a value that is itself in a table is translated too. What no table knows stays as it is: a stranger's file name, a rare defect.
"""

import functools
import re
from collections.abc import Mapping

from verifier.report.refusals import REFUSALS

LONGEST = 400
"""Characters of a text that is looked up; more is not shown in one line anyway."""
DEEPEST = 3
"""Texts inside of texts: what changed, after which revision."""

REQUIREMENTS: dict[str, str] = {
    # EN 319 102-1 clauses 5.2.2 to 5.2.4, 5.2.7, 5.2.8
    "the signature conforms to its format": "署名が形式の規則に従っていること",
    "the signing certificate is found": "署名者の証明書があること",
    "the signed reference is to the signing certificate": "署名に含まれる証明書の参照が署名者の証明書と一致すること",
    "issuer and serial number in the reference are the certificate's": "証明書の参照にある発行者と番号が証明書と一致すること",
    "the signature policy is known here": "署名ポリシーが検証側で既知であること",
    "the signature refers to data": "署名の対象が示されていること",
    "the signed data is found: {}": "署名の対象があること：{0}",
    "the digest of the signed data matches: {}": "署名の対象のハッシュ値が一致すること：{0}",
    "the signature value verifies with the signer's key": "署名値が署名者の鍵で検証できること",
    "a signed reference to the signing certificate is there": "署名者の証明書の参照が署名に含まれていること",
    "there is one such reference": "その参照が一つだけであること",
    "the signing time is claimed": "署名日時が記載されていること",
    "the claimed signing time is within the validity of the signing certificate": "記載された署名日時が署名者の証明書の有効期間内であること",
    "the signature covers signed attributes": "署名が署名属性を対象としていること",
    "the algorithms of the {} are acceptable": "{0}の暗号方式が認められていること",
    "the algorithms of the {} were acceptable at {}": "{0}の暗号方式が{1}の時点で認められていたこと",
    "the signature was not made after the end of its algorithm": "暗号方式の期限より後に署名されていないこと",
    # Clauses 5.2.5 and 5.2.6
    "a chain from the certificate to a trust anchor is found": "証明書から信頼する認証局への経路があること",
    "the anchor is still believed": "信頼の起点が現在も信頼されていること",
    "only a responder has id-pkix-ocsp-nocheck": "id-pkix-ocsp-nocheck を持つのはOCSPレスポンダだけであること",
    "key usage is one of {}": "鍵用途が次のいずれかであること：{0}",
    "extended key usage is timeStamping": "拡張鍵用途が timeStamping であること",
    "extended key usage is timeStamping alone and critical, and the unit is no authority": (
        "拡張鍵用途が timeStamping のみでクリティカルであり、認証局の証明書でないこと"
    ),
    "acceptable status of the certificate is there": "証明書について使用できる失効情報があること",
    "the certificate is not revoked": "証明書が失効していないこと",
    "the certificate is not suspended": "証明書が一時停止されていないこと",
    "the status is fresh": "失効情報が十分に新しいこと",
    "the authority's certificate is within its validity": "認証局の証明書が有効期間内であること",
    "the certificate is within its validity": "証明書が有効期間内であること",
    "whoever signed the status is within the validity of his certificate": "失効情報の署名者の証明書が有効期間内であること",
    # Clause 5.4
    "the time is not before the unit's certificate": "時刻が時刻認証局の証明書の有効期間より前でないこと",
    "the time is not after the end of the unit's certificate": "時刻が時刻認証局の証明書の有効期間より後でないこと",
    # Clause 5.5
    "signature with time and long-term validation material": "時刻と長期検証情報を伴う署名の検証",
    "the best signature time is not before the certificate's validity": "証明された署名時刻が証明書の有効期間より前でないこと",
    "the best signature time is before the {}": "証明された署名時刻が{0}より前であること",
    "the best signature time is within the certificate's validity, and its status is known": (
        "証明された署名時刻が証明書の有効期間内で、失効の有無が分かっていること"
    ),
    "the times of the stamps are in the order in which they cover one another": "タイムスタンプの時刻の順序が包含関係と一致すること",
    "the time-stamp came in time": "タイムスタンプが期限内に付されたこと",
    "the status is fresh at the best signature time": "証明された署名時刻において失効情報が十分に新しいこと",
    "the signature carries status that was fresh at the best signature time, as its level says": (
        "署名がそのレベルの定めるとおり、証明された署名時刻に十分新しい失効情報を含むこと"
    ),
    # Clause 5.6
    "the certificate of whoever signed the status is proved to have existed within its validity": (
        "失効情報の署名者の証明書が、有効期間内に存在したと証明されること"
    ),
    "past signature validation at {}": "{0}の時点に遡った検証",
    "status is there that is proved before the control time": "基準時刻より前に存在したと証明される失効情報があること",
    "control time is {}": "基準時刻は{0}",
    "the certificates of the chain were valid together": "経路の証明書がすべて有効であった時点があること",
    "the signature is proved to have existed before the control time": "署名が基準時刻より前に存在したと証明されること",
    "the signature is not proved to be older than its certificate": "署名が証明書より古いと証明されていないこと",
    "the signature is proved to have existed before the revocation": "署名が失効より前に存在したと証明されること",
    "status of the signing certificate is proved to have existed before its authority was revoked": (
        "署名者の証明書の失効情報が、認証局の失効より前に存在したと証明されること"
    ),
    "what uses the weak algorithm is proved from before its end": "弱くなった暗号方式を使うものが、その期限より前に存在したと証明されること",
    "the signature is proved from within the validity of the {} certificate": "署名が{0}証明書の有効期間内に存在したと証明されること",
    "signature with archival data": "長期保存情報を伴う署名の検証",
    "the evidence record proves what it covers": "証拠レコードがその対象の存在を証明すること",
    "the data is found: {}": "対象のデータがあること：{0}",
    "the data is in the hash tree: {}": "対象のデータがハッシュ木に含まれること：{0}",
    "the time-stamps of the record are there": "証拠レコードのタイムスタンプがあること",
    "hash trees, renewals and imprints are consistent": "ハッシュ木・更新・タイムスタンプの対象が整合していること",
}
"""What must hold, as the process states it."""

FACTS: dict[str, str] = {
    # verifier/process
    "a content time-stamp is later than the revocation": "内容のタイムスタンプが失効より後のもの",
    "a content time-stamp is later than the end of the certificate": "内容のタイムスタンプが証明書の有効期間より後のもの",
    # verifier/chains: RFC 5280
    "the chain requires a certificate policy and none is valid along it": "経路が証明書ポリシーを要求しているが、有効なものがない",
    "unknown critical extension {}": "未知のクリティカル拡張 {0} がある",
    "the issuer is no certification authority": "発行者が認証局ではない",
    "the issuer's key usage does not allow signing certificates": "発行者の鍵用途が証明書の署名を認めていない",
    "the issuer has no subject key identifier": "発行者の証明書に主体者鍵識別子がない",
    "an authority has {}": "認証局の証明書に {0} がある",
    "at most {} authorities are allowed below the issuer, got {}": "発行者の下に認められる認証局は {0} 個までだが、{1} 個ある",
    "a name is outside what an authority above may certify": "上位の認証局が証明できる範囲外の名前がある",
    "names or name constraints cannot be read": "名前または名前制約を読み取れない",
    "version {} has extensions": "バージョン {0} の証明書に拡張がある",
    "elliptic curve is spelled out": "楕円曲線が名前でなくパラメーターで示されている",
    "signature algorithms inside and outside differ": "証明書の内と外で署名方式が異なる",
    "{} cannot be read": "{0} を読み取れない",
    "extension {} stands there twice": "拡張 {0} が重複している",
    # What no signature covers
    "no signature covers it": "署名の対象になっていない",
    "no time-stamp or evidence record covers it": "タイムスタンプや証拠レコードの対象になっていない",
    "no signature covers this element": "この要素は署名の対象になっていない",
    "no signature covers this attribute": "この属性は署名の対象になっていない",
    "no signature covers text of this element": "この要素の文字列は署名の対象になっていない",
    "no signature covers this element inside the signature": "署名の中にあるこの要素は署名の対象になっていない",
    "no signature covers the style sheet instruction": "スタイルシートの指定が署名の対象になっていない",
    "a manifest that no signature or time-stamp covers": "署名やタイムスタンプの対象になっていない一覧ファイル",
    "a filter takes only a part of the companion into the signature": "添付ファイルの一部だけが署名の対象になっている",
    "named by a signed manifest and not given: nothing was checked": "署名された一覧に記載があるがファイルがなく、何も確認していない",
    "more than are listed are not covered by any signature": "ほかにも署名の対象になっていない箇所がある",
    "given as signed content, and no signature covers it": "署名の対象として渡されたが、どの署名の対象にもなっていない",
    "a member that stands beside the signature": "署名の外に置かれた項目",
    "the room for the signature holds something beside it": "署名を格納する領域に別のものが含まれている",
    "says another type than that of the {} container that it is": "{0} コンテナの種別と異なる種別が書かれている",
    "says another type than the container's comment": "コンテナのコメントと異なる種別が書かれている",
    "it is not a PDF of its own, so that nobody can tell what changed after it was signed": (
        "この版は単独のPDFとして読めず、署名後の変更を判別できない"
    ),
    # What changed in a PDF
    "{} after revision {} was signed": "第{1}版の署名後に{0}",
    "after revision {} was signed": "第{0}版の署名後",
    "appended {}, where only some readers see them": "{0}に追記され、一部のソフトウェアだけが表示する",
    "appended {}, where readers differ": "{0}に追記され、ソフトウェアによって読み方が異なる",
    "they follow the end of the last revision and are no part of it": "最後の改訂の終わりより後ろにあり、どの改訂にも属さない",
    "a signature stands there that the structure of the file does not lead to": "ファイルの構造からたどれない場所に署名がある",
    "added": "追加された",
    "removed": "削除された",
    "changed": "変更された",
    "{} added": "{0} 件追加された",
    "{} removed": "{0} 件削除された",
    "put into another order": "順序が変更された",
    "replaced by another page": "別のページに差し替えられた",
    "put below each other too deeply to be looked at": "調べられないほど深く入れ子にされた",
    "given another name or kind": "名前または種類が変更された",
    "added over what the page showed": "ページの表示内容に重ねて追加された",
    "drawn over what the page showed": "ページの表示内容の上に描かれた",
    "added with an action": "アクション付きで追加された",
    "added with a signature that is not of its revision": "その版のものでない署名を値として追加された",
    "drawn anew, though its appearance was not its value,": "外観が値と異なっていたのに描き直された",
    "filled in": "入力された",
    "made read-only": "読み取り専用にされた",
    "filled, though no change is permitted,": "変更が禁止されているのに入力された",
    "filled, though locked,": "ロックされているのに入力された",
    "filled, though read-only,": "読み取り専用なのに入力された",
    "signed, though locked,": "ロックされているのに署名された",
    "changed in {}": "{0} が変更された",
    "given an appearance that is not its value": "値と異なる外観が与えられた",
    "signature or its appearance changed": "署名またはその外観が変更された",
    "unsigned signature field given an appearance": "未署名の署名欄に外観が与えられた",
    "unsigned signature field with an appearance added": "外観を持つ未署名の署名欄が追加された",
    "signature field added, though no change is permitted,": "変更が禁止されているのに署名欄が追加された",
    "document time-stamp with an appearance added": "外観を持つ文書タイムスタンプが追加された",
    # Formats: what real files break most
    "mimetype is not the first entry": "mimetype が先頭の項目でない",
    "mimetype is compressed": "mimetype が圧縮されている",
    "mimetype holds more than the media type": "mimetype にメディアタイプ以外のものが含まれている",
    "companion that the reference names is not there": "参照されている添付ファイルがない",
    "data of a reference are not there": "参照の対象データがない",
    "signed attributes are not DER encoded": "署名属性が DER で符号化されていない",
    "no reference covers the SignedProperties of this signature": "この署名の SignedProperties を対象とする参照がない",
    "time-stamp over the octets of the signature value, not over its element": "タイムスタンプが署名値の要素ではなく、そのバイト列を対象としている",
    "Target of QualifyingProperties is not this signature's Id": "QualifyingProperties の Target がこの署名の Id でない",
    "reference names an id that no element bears": "参照が指す id を持つ要素がない",
    "transform selects nothing: what is signed is empty": "変換の結果が空で、署名の対象がない",
    "not a well-formed xml document": "整形式の XML 文書でない",
    "ds:DigestValue is not base64": "ds:DigestValue が base64 でない",
    "digest method is unknown here": "ハッシュ関数が未知のもの",
    "signature carries its own content": "署名が独自の内容を含んでいる",
    "detached signature encapsulates content": "分離署名が内容を含んでいる",
    "the protected algorithms are not those of the signature": "保護された暗号方式が署名のものと異なる",
    "digest algorithm is {}, but the signature algorithm says {}": "ハッシュ関数は {0} だが、署名方式では {1} とされている",
    "one signer expected, got {}: only the first is read": "署名者は一つのはずだが {0} あり、最初のものだけを読んだ",
    "{} entries of the hash index name nothing that is here": "ハッシュ索引の {0} 件に対応するものがない",
    "ASiC-E with XAdES holds META-INF/manifest.xml, got none": "XAdES を用いる ASiC-E に META-INF/manifest.xml がない",
    "ASiC-E with CAdES or time-stamps holds an ASiCManifest, got none": "CAdES やタイムスタンプを用いる ASiC-E に ASiCManifest がない",
    "ASiC-E holds no file beside META-INF and mimetype": "ASiC-E に META-INF と mimetype 以外のファイルがない",
    "ASiC-S holds one file beside META-INF and mimetype, in its root; got {}": (
        "ASiC-S の最上位には META-INF と mimetype のほかに一つのファイルがあるはずだが、{0} 個ある"
    ),
    "the bytes that /ByteRange leaves out are not one hexadecimal string": "/ByteRange が除外する部分が一つの16進文字列でない",
    "the string that /ByteRange leaves out is not /Contents": "/ByteRange が除外する文字列が /Contents でない",
    "/ByteRange leaves the file": "/ByteRange がファイルの範囲を超えている",
    "/ByteRange does not end at the end of a revision": "/ByteRange が版の末尾で終わっていない",
    "/Contents is padded with something else than zeros": "/Contents がゼロ以外のもので埋められている",
    "signature dictionary has no /SubFilter": "署名辞書に /SubFilter がない",
    "{} attribute is not signed": "{0} 属性が署名の対象でない",
    "{} attribute stands more than once": "{0} 属性が二つ以上ある",
    "{} attribute is signed": "{0} 属性が署名属性にある",
    "the token names another authority than its unit": "トークンが別の時刻認証局の名前を示している",
    "an extension of the token stands twice": "トークンに同じ拡張が二つある",
    "manifest has more than one root file": "一覧ファイルに最初に開くファイルが二つ以上ある",
    "two names that are one to many programs": "多くのソフトウェアが同じとみなす二つの名前",
    "a second name in another field": "別の欄にある二つ目の名前",
    "at most one {} expected, got {}": "{0} が一つを超えて {1} ある",
    "ds:SignatureValue has unused bits that are not zero": "ds:SignatureValue の余りのビットが 0 でない",
    "the key in ds:KeyInfo is another than the signer's": "ds:KeyInfo の鍵が署名者の鍵と異なる",
    "{} in ds:KeyInfo is of another certificate than the signer's": "ds:KeyInfo の {0} が署名者と別の証明書のものである",
    "{} holds elements that its schema does not have there": "{0} にスキーマで認められない要素または順序がある",
    "{} has an attribute that its schema does not have": "{0} にスキーマにない属性がある",
    "{} holds text, where its schema has elements alone": "{0} に要素以外の文字がある",
    "{} lacks an attribute that its schema has": "{0} に必要な属性がない",
    "{} holds text of another type than its schema has": "{0} の値の型がスキーマと異なる",
    "a format is stated of a data object that is not signed": "署名の対象でないデータの種類が示されている",
    "two formats are stated of one data object": "同じデータに二つの種類が示されている",
    "a commitment is made to a data object that is not signed": "署名の対象でないデータに対する約束が示されている",
    "a reference says that it is to a signature value, and is to something else": "署名値への参照とされるものが別のものを指している",
    "the signature method has parameters that are none of its own": "署名方式に認められないパラメーターが付いている",
    "more than one reference does not say to what it is": "対象を示さない参照が二つ以上ある",
    "a signature property is of another signature": "別の署名の属性が置かれている",
    "a property holds another encoding than is read": "属性に読み取りの対象でない符号化が示されている",
    "a transform has parameters that are none of its own": "変換に認められないパラメーターが付いている",
    "{} is no element of its schema": "{0} はスキーマにない要素である",
    "a time-stamp says that it covers something else than it does": "タイムスタンプが実際と異なる対象を示している",
    "one reference of the type of SignedProperties expected": "SignedProperties への参照が一つだけあるはずである",
    "ds:X509Data holds what is no certificate or list": "ds:X509Data に証明書でも失効リストでもないものがある",
    "ds:KeyInfo holds a certificate that is not of the signer's chain": "ds:KeyInfo に署名者の証明書チェーンと無関係な証明書がある",
    "a signature policy stands beside, and the signer names none": "署名ポリシーが添えられているが、署名者はどれも示していない",
    "one counter-signature expected, got {}": "副署は一つのはずだが {0} ある",
    "evidence record cannot be read: {}": "証拠レコードを読み取れない：{0}",
    "{}: time-stamp cannot be read: {}": "{0}：タイムスタンプを読み取れない：{1}",
    "the list of files cannot be read": "ファイルの一覧を読み取れない",
    "the list of files names one of them twice": "ファイルの一覧に同じファイルが二度ある",
    "the list of files holds something else": "ファイルの一覧にファイル以外のものがある",
    "the list of files says another type of a file than its signer": "ファイルの一覧が署名者と異なる種類を示している",
    "manifest says that it is covered by another kind of file than it names": "一覧ファイルを保護するファイルの種類が表示と異なる",
    "manifest lists a file twice": "一覧ファイルに同じファイルが二度ある",
    "manifest has a flag that is neither true nor false": "一覧ファイルに真偽でない値がある",
    "a time-stamp that no manifest names": "どの一覧ファイルにも示されていないタイムスタンプがある",
    "a signature file holds something else beside its signatures": "署名ファイルに署名以外のものがある",
    "the list of files says another type than that of the container": "ファイルの一覧がコンテナと異なる種類を示している",
    "the list of files names one that is not there": "ファイルの一覧にコンテナにないファイルがある",
    "the list of files calls one encrypted": "ファイルの一覧に暗号化されたとされるファイルがある",
    "the digest of the signer is not among those of the message": "署名者のハッシュ関数がメッセージの一覧にない",
    "the version of the message is not that of its content": "メッセージの版が内容と合わない",
    "the signing time is not in the form of its century": "署名日時がその世紀に定められた形式でない",
    "the serial number of the token has more than 160 bits": "トークンの番号が160ビットを超えている",
    "fraction of the time has trailing zeros": "時刻の小数部が 0 で終わっている",
    "a part of the accuracy is not 1 to 999": "精度の各部が 1 から 999 の範囲にない",
    "the token has a list of extensions without one": "トークンの拡張の一覧が空である",
    "the digest of the token has parameters": "トークンのハッシュ関数にパラメーターが付いている",
    "the token does not say which certificate signed it": "トークンが署名した証明書を示していない",
    "a signature of this kind names the certificate that made it": "この種の署名が署名者の証明書を示していない",
    "the signature policy that stands beside is not the one that was signed": "添えられた署名ポリシーが署名されたものと異なる",
    "{} attribute is not of its type": "{0} 属性の型が正しくない",
    "the digest of the signer has parameters": "署名者のハッシュ関数にパラメーターが付いている",
    "a digest of the message has parameters": "メッセージのハッシュ関数にパラメーターが付いている",
    "the message holds what is no certificate or list among its certificates and lists": "証明書や失効リストの中にそのどちらでもないものがある",
    "what the token says of its quality cannot be read": "トークンの品質に関する記載を読み取れない",
    "time-stamp response says that it was granted, and something else": "タイムスタンプ応答に発行と矛盾する記載がある",
    "counter-signature has a content-type attribute": "副署に content-type 属性がある",
    "the signature policy that stands beside is not base64": "添えられた署名ポリシーが base64 でない",
    "etsiU has one element or more, each with one member": "etsiU は一つ以上の要素からなり、各要素は一つの項目を持つはずである",
    "the version of the signer is not that of its identifier": "署名者情報の版が識別子の形式と合わない",
    "the reference to the certificate has another serial number": "証明書の参照が別の番号を示している",
    "ECDSA has parameters": "ECDSA にパラメーターが付いている",
    "{} is not of its type": "{0} の型が正しくない",
    "a digest in the header is in sloppy base64url": "ヘッダーのハッシュ値が厳密な base64url でない",
    "crit is empty": "crit が空である",
    "etsiU stands in the protected header": "etsiU が保護ヘッダーにある",
    "{} is no base64url": "{0} が base64url でない",
    "x5c is an array of certificates in base64, got something else": "x5c が base64 の証明書の配列でない",
    "the first certificate of x5c is not the signer's": "x5c の最初の証明書が署名者のものでない",
    "{} is of another certificate than the signer's": "{0} が署名者と別の証明書のものである",
    "jwk is another key than the signer's": "jwk が署名者の鍵と異なる",
    "validation data in etsiU cannot be read": "etsiU の検証情報を読み取れない",
    "element {} of etsiU cannot be read": "etsiU の要素 {0} を読み取れない",
    "{} stands in the unprotected header": "{0} が保護されていないヘッダーにある",
    "etsiU stands with others in the unprotected header": "保護されていないヘッダーに etsiU 以外のものがある",
    "enc says that this is encrypted, and it is signed": "暗号文であることを示す enc が署名のヘッダーにある",
    "{} stands in a counter-signature": "副署に {0} がある",
    "x5t has no place in JAdES": "JAdES で認められない x5t がある",
    "x5c is not in the order of its issuers": "x5c が発行者の順に並んでいない",
    "sigD has digests, and its mechanism uses none": "sigD にその方式で用いないハッシュ値がある",
    "etsiU has elements of both forms": "etsiU に両方の形式の要素がある",
    "an element of etsiU is sloppy base64url": "etsiU の要素が厳密な base64url でない",
    "etsiU is an array, got something else": "etsiU が配列でない",
    "sigD has not one content type for each name": "sigD の名前ごとに一つの種別がない",
    "sigD has a digest in sloppy base64url": "sigD のハッシュ値が厳密な base64url でない",
    "an entry of `signatures` has no signature": "signatures の要素に署名がない",
    "an entry of `signatures` has a payload of its own": "signatures の要素が独自の payload を持つ",
    "a time-stamp of the signature stands in the protected header": "署名のタイムスタンプが保護ヘッダーにある",
    "a counter-signature does not say who made it": "副署がその署名者を示していない",
    "a counter-signature stands in the protected header": "副署が保護ヘッダーにある",
    "label {} is not of its type": "ラベル {0} の型が正しくない",
    "an initialisation vector stands there whole and in part": "初期化ベクトルが全体と一部の両方ある",
    "what is said of hashed content stands beside content that is not": "ハッシュ値でない内容にハッシュ対象の情報が添えられている",
    "the first certificate of x5chain is not the signer's": "x5chain の最初の証明書が署名者のものでない",
    "x5chain holds what is no certificate": "x5chain に証明書でないものがある",
    "x5chain is not in the order of its issuers": "x5chain が発行者の順に並んでいない",
    "crit is an array of different names, got something else": "crit が重複のない名前の配列でない",
    "crit names {}, which is no extension": "crit が拡張でない {0} を指定している",
    "crit names {}, which is not in the header": "crit がヘッダーにない {0} を指定している",
    "crit names an extension that is not understood here": "crit が未知の拡張を指定している",
    "time-stamp cannot be read: {}": "タイムスタンプを読み取れない：{0}",
    "time-stamp in {} cannot be read: {}": "{0} のタイムスタンプを読み取れない：{1}",
    "signature cannot be read: {}": "署名を読み取れない：{0}",
    "manifest cannot be read: {}": "一覧ファイルを読み取れない：{0}",
    "counter-signature cannot be read: {}": "副署を読み取れない：{0}",
}
"""What is wrong or remarkable, told as the fact that it is."""

THINGS: dict[str, str] = {
    "signature value": "署名値",
    "signed attribute": "署名属性",
    "reference": "署名対象の参照",
    "certificate": "証明書",
    "status": "失効情報",
    "status signer's certificate": "失効情報の署名者の証明書",
    "revocation": "失効",
    "suspension": "一時停止",
    "signing": "署名者の",
    "authority's": "認証局の",
    "message imprint": "タイムスタンプの対象",
    "signed data": "署名の対象",
    "signed properties": "署名属性",
    "countersigned signature value": "副署の対象の署名値",
    "attached content": "署名に含まれる内容",
    "detached content": "署名と別のファイルの内容",
    "digest of the signed bytes": "署名対象のハッシュ値",
    "payload": "内容（payload）",
    "content": "内容",
    "body": "本文",
    "document": "文書",
    "whole document": "文書全体",
    "data object": "対象データ",
    "companion": "添付ファイル",
    "a file without a name": "名前のないファイル",
    "further places": "そのほかの箇所",
    "no whole revision": "完全でない版",
    "revision {} of {}": "第{0}版（全{1}版）",
    "revision {}": "第{0}版",
    "objects outside any revision": "どの版にも属さないオブジェクト",
    "page {} {} annotation": "{0}ページの注釈（{1}）",
    "page {} annotations": "{0}ページの注釈",
    "page {}": "{0}ページ",
    "pages": "ページ",
    "field {}": "入力欄 {0}",
    "form {}": "フォーム {0}",
    "document {}": "文書の {0}",
    "certification": "証明（DocMDP）",
    "certificate of {}": "証明書：{0}",
    "time-stamp of {}": "タイムスタンプ：{0}",
    "evidence record {}": "証拠レコード {0}",
}
"""What things are called: in requirements, and as the subjects of findings."""

CRL_REASONS: dict[str, str] = {
    "unspecified": "理由の記載なし",
    "key_compromise": "鍵の危殆化",
    "ca_compromise": "認証局の鍵の危殆化",
    "affiliation_changed": "所属の変更",
    "superseded": "証明書の更新",
    "cessation_of_operation": "使用の終了",
    "certificate_hold": "一時停止",
    "remove_from_crl": "一時停止の解除",
    "privilege_withdrawn": "権限の取消し",
    "aa_compromise": "属性認証局の鍵の危殆化",
}
"""RFC 5280 section 5.3.1, with underscores."""


class _Table:
    """Templates and their translations; those with values as patterns, longest first: the most telling one is taken."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self.words = words

    @functools.cached_property
    def patterns(self) -> tuple[tuple[str, re.Pattern[str]], ...]:
        templates = sorted((t for t in self.words if "{}" in t), key=len, reverse=True)
        return tuple((t, re.compile("(.+?)".join(re.escape(part) for part in t.split("{}")), re.DOTALL)) for t in templates)

    def find(self, text: str) -> tuple[str, tuple[str, ...]] | None:
        """The translation of the template that the text was made from, and its values."""
        if text in self.words and "{}" not in text:
            return self.words[text], ()
        found = ((self.words[template], pattern.fullmatch(text)) for template, pattern in self.patterns)
        return next(((words, match.groups()) for words, match in found if match), None)


_REQUIREMENTS, _FACTS, _THINGS, _REFUSALS = _Table(REQUIREMENTS), _Table(FACTS), _Table(THINGS), _Table(REFUSALS)


def reworded(text: str, language: str) -> str:
    """The text in this language, as far as the tables know it."""
    return text if language == "en" else _japanese(text[:LONGEST], DEEPEST)


@functools.lru_cache(maxsize=4096)
def is_fact(text: str) -> bool:
    """Whether it says what is wrong, rather than what should be."""
    return _REQUIREMENTS.find(text[:LONGEST]) is None and _FACTS.find(text[:LONGEST]) is not None


@functools.lru_cache(maxsize=4096)
def _japanese(text: str, depth: int) -> str:
    for table in (_REQUIREMENTS, _FACTS, _REFUSALS, _THINGS):
        if found := table.find(text):
            words, values = found
            return words.format(*(_japanese(v, depth - 1) if depth else v for v in values))
    return text
