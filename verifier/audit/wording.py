"""What an audit says, in English and Japanese. `{…}` is filled in; what a token says of itself is filled in printable."""

from verifier.report.findings import Words

HEADS = {
    "clean": Words("NOTHING IS WRONG", "問題はありません"),
    "findings": Words("SOMETHING IS WRONG", "問題があります"),
    "indeterminate": Words("CANNOT TELL", "判定できません"),
}

LABELS = {
    "source": Words("source", "対象"),
    "period": Words("period", "期間"),
    "tokens": Words("time-stamps", "タイムスタンプ"),
    "verdicts": Words("verdicts", "検証結果"),
    "units": Words("units", "ユニット"),
    "clock": Words("clock", "時計"),
    "log": Words("log", "ログ"),
    "expected": Words("expected", "期待一覧"),
    "findings": Words("findings", "指摘"),
    "remarks": Words("remarks", "備考"),
    "judged": Words("judged", "判定条件"),
}

VERDICTS = {
    "passed": Words("valid {count}", "有効 {count}"),
    "failed": Words("not valid {count}", "無効 {count}"),
    "indeterminate": Words("cannot tell {count}", "判定できない {count}"),
    "unreadable": Words("unreadable {count}", "読み取り不能 {count}"),
}

PHRASES = {
    "source-export": Words("export of a log: {name}", "ログのエクスポート：{name}"),
    "source-instance": Words("the log of the instance {name}", "インスタンス {name} のログ"),
    "source-files": Words("files: {name}", "ファイル：{name}"),
    "all": Words("all", "すべて"),
    "period": Words("{since} to before {until}", "{since} 以後 {until} 前"),
    "open": Words("…", "…"),
    "tokens": Words("{count}, of {first} to {last}", "{count} 件、時刻 {first} から {last}"),
    "no-tokens": Words("none", "なし"),
    "skipped": Words(
        "{count} others left out (no time-stamps, or outside of the period)", "対象外（タイムスタンプでないもの、期間外のもの）{count} 件"
    ),
    "unit": Words(
        "{name} ({unit}): {count}, serial numbers {first} to {last}, missing {missing}",
        "{name}（{unit}）：{count} 件、シリアル番号 {first} から {last}、欠番 {missing}",
    ),
    "more-units": Words("and {count} more units", "ほか {count} ユニット"),
    "scattered": Words(
        "more gaps than are remembered: doubled and late numbers cannot be told apart", "欠番が多すぎるため、重複と順序の逆転を区別できません"
    ),
    "clock": Words("{state}: {count}", "{state}：{count} 件"),
    "clock-age": Words(
        "the oldest word of a clock that a token rests on is {seconds} s older", "根拠とした時計の記録は最も古いもので {seconds} 秒前"
    ),
    "no-clock": Words("this source says nothing of the clock", "この対象には時計の記録がありません"),
    "log-whole": Words("{entries} entries from the first on, root {root}", "先頭から {entries} 項目、ルート {root}"),
    "log-part": Words(
        "{entries} entries from {first} on: without the beginning no root can be compared",
        "{first} 番から {entries} 項目：先頭がないため、ルートは照合できません",
    ),
    "log-roots": Words("compared with {count} signed checkpoints", "署名済みチェックポイント {count} 件と照合"),
    "log-no-roots": Words(
        "compared with no checkpoint: what was cut off at the end cannot be seen (--key, --checkpoint)",
        "チェックポイントとは照合していません：末尾の切り捨ては検出できません（--key、--checkpoint）",
    ),
    "expected": Words("{listed} listed, {missing} without a time-stamp", "一覧 {listed} 件、タイムスタンプなし {missing} 件"),
    "unlisted": Words("{count} time-stamps are of something else", "一覧にないもののタイムスタンプ {count} 件"),
    "judged": Words("at {at}, policy {policy}, {anchors} trust anchors, {engine}", "{at} 時点、ポリシー {policy}、信頼の起点 {anchors} 件、{engine}"),
    "no-anchors": Words(
        "nobody is trusted, so no time-stamp can be valid: name the authority's root with --trust",
        "信頼する認証局の指定がないため、有効と判定できるものはありません。--trust でルート証明書を指定してください",
    ),
    "more": Words("… and {count} more", "…ほか {count} 件"),
}

FINDINGS = {
    "not-valid": Words("time-stamps that are not valid", "無効なタイムスタンプ"),
    "unreadable": Words("what should be a time-stamp cannot be read", "タイムスタンプとして読み取れないもの"),
    "development-clock": Words("issued under the development clock: they prove nothing", "開発用の時計で発行されたもの（何も証明しません）"),
    "clock-unknown": Words("nothing in the log vouches for the clock", "時計の状態を示す記録がログにないもの"),
    "clock-not-good": Words("issued while the log says that the clock was not good", "時計が正常でない間に発行されたもの"),
    "serial-twice": Words("serial number used twice", "シリアル番号の重複"),
    "serial-order": Words("recorded after a higher serial number", "シリアル番号の順序の逆転"),
    "time-order": Words("time before that of a lower serial number", "時刻の順序の逆転"),
    "serial-gap": Words("missing serial numbers that nothing explains", "説明のない欠番"),
    "gap-explained": Words("missing serial numbers that an entry explains", "ログの項目で説明される欠番"),
    "gap-seen": Words("serial numbers that are not among these files", "これらのファイルにないシリアル番号"),
    "copy": Words("the same time-stamp again", "同じタイムスタンプの写し"),
    "time-after-record": Words("time after that of its record", "記録より後の時刻を持つもの"),
    "recorded-late": Words("recorded more than a minute after its time", "時刻から一分以上遅れて記録されたもの"),
    "table-differs": Words("the table beside the log says another serial number", "ログに添えられた表とシリアル番号が異なるもの"),
    "unit-unlisted": Words("the unit's certificate is not in the log", "ユニットの証明書がログにないもの"),
    "unit-revoked": Words("issued after the unit's certificate was revoked", "ユニットの証明書の失効後に発行されたもの"),
    "status-old": Words(
        "units that the log revokes, and that the status lists given call good: judge with newer lists",
        "ログでは失効しているのに、指定された失効リストでは有効なユニット：新しいリストで判定してください",
    ),
    "unit-retired": Words("recorded after the unit was retired", "ユニットの廃止後に記録されたもの"),
    "key-period": Words("issued outside of the period of the unit's key", "ユニットの鍵の使用期間外に発行されたもの"),
    "missing": Words("expected, and not time-stamped", "タイムスタンプが見つからないもの"),
    "log-changed": Words("the log: entries that were changed", "ログ：変更された項目"),
    "log-missing": Words("the log: entries that are missing", "ログ：欠けた項目"),
    "log-order": Words("the log: entries out of their order", "ログ：順序の違う項目"),
    "log-time": Words("the log: recorded before the entry in front", "ログ：前の項目より早い記録時刻"),
    "log-root": Words("the log: roots that are not those of the entries", "ログ：項目と一致しないルート"),
    "log-checkpoint": Words("the log: checkpoints that do not hold", "ログ：正しくないチェックポイント"),
    "log-kind": Words("the log: entries of an unknown kind", "ログ：未知の種類の項目"),
    "log-unreadable": Words("the log: entries that cannot be read", "ログ：読み取れない項目"),
    "log-serial-twice": Words("the log: certificates with one number", "ログ：番号の重複した証明書"),
}
"""By code, in the order in which they are told. A code without words stands for itself."""
