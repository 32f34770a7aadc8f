"""Events of a verb and a spool with some of them, which the tests of audits share."""

import json

from dataward.access.decide import Principal
from dataward.access.events import Begun, Outcome, Subject, event
from dataward.access.spool import Spool
from dataward.access.verbs import VERBS

WHO = Principal("ana", "os", ("staff",))

PEOPLE = Subject("people", "lake/people", "people")


def begun(verb="publish", **more):
    return Begun(VERBS[verb], WHO, PEOPLE, "1.0", **more)


def told(number=0):
    return event(begun(ticket=f"T-{number}"), Outcome("success"))


def filled(tmp_path, count):
    spool = Spool(tmp_path / "spool")
    for number in range(count):
        spool.end(told(number))
    return spool


def sequences(path):
    return [json.loads(text)["metadata"]["sequence"] for text in path.read_text().splitlines()]


CONTRACT = """
contract: people
source: {{path: a}}
target: {{path: b}}
keys: {{path: k, domain: d}}
columns: {{mail: {{class: email, protect: token}}}}
access: {{grants: [{{anyone: true, verbs: [verify, history]}}]}}
audit: {{sinks: [{{kind: jsonl, path: {root}/out.jsonl}}], spool: {root}/spool}}
"""
