"""Files that others made, raised: at least fifty, in every format, and EU DSS finds intact what it found intact before."""

import collections
from pathlib import Path

from tests.corpus_extending import authority, cases, extended, harm, judged_by_dss
from tests.shared import needs_shared


@needs_shared
def test_files_of_others_are_raised_and_stay_intact_for_eu_dss(tmp_path: Path) -> None:
    pki = authority()
    made = [one for case in cases() if (one := extended(case, pki, tmp_path)).level is not None]
    count = collections.Counter(one.case.format for one in made)
    assert sum(count.values()) >= 118, count
    assert sum(one.level != "B-T" for one in made) >= 70, collections.Counter(one.level for one in made)
    families = {"PAdES", "CAdES", "XAdES", "JAdES", "ASiC-E+CAdES", "ASiC-E+XAdES", "ASiC-S+CAdES", "ASiC-S+XAdES", "ODF+XAdES"}
    assert families <= set(count)
    answers = judged_by_dss(made, pki, tmp_path)
    worse = {one.case.id: why for one, (before, after) in zip(made, answers, strict=True) if (why := harm(one, before, after))}
    assert worse == {}
    intact = sum(all(s["intact"] for s in after["signatures"]) for _, after in answers)
    assert intact >= 118
