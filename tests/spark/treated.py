"""Treatments applied to frames, without a publish."""

from dataward.contract.treatment import Treatment
from dataward.quality.repair.treat import Around, treat


def treated(frame, references=None, spreads=None, **how):
    return treat(frame, Treatment.model_validate(how), Around(references or {}), spreads)


def rows(frame, *columns):
    return sorted((tuple(row) for row in frame.select(*columns).collect()), key=repr)


def done(result):
    return {(one["treatment"], one["column"], one["what"]): one["count"] for one in result.repairs}
