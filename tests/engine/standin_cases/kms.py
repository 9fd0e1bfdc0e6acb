"""Cases of the stand-in's kms rows."""

from __future__ import annotations

from tests.engine.standin_cases.case import NEW_TAGS, TAGS, Case

CASES: dict[str, Case] = {
    "aws:kms/key:Key": Case(
        lambda w: {"description": "d", "enableKeyRotation": True, "deletionWindowInDays": 7, **TAGS},
        {"description": "e", "enableKeyRotation": False, **NEW_TAGS},
        {"deletionWindowInDays"},
    ),
    "aws:kms/alias:Alias": Case(
        lambda w: {"targetKeyId": w.make("aws:kms/key:Key", deletionWindowInDays=7)["id"]}
    ),
}
