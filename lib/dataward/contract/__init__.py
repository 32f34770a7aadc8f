"""The contract: what must be true of a table, which columns are sensitive, how each is protected.

``load(path)`` reads a YAML file into a frozen :class:`Contract`, or raises one error that lists every mistake.
"""

from dataward.contract.access import Access, Allowed, Approval, Audit, Grant
from dataward.contract.discovery import CustomDetector, Discovery
from dataward.contract.document import Document
from dataward.contract.load import detectors, load, problems_of, read_model
from dataward.contract.models import Contract, json_schema
from dataward.contract.places import Location, Quarantine, Source, Target
from dataward.contract.protections import Column, Protection, having
from dataward.contract.settings import Erasure, Join, Keys, Limits, Lineage
from dataward.contract.treatment import Treatment

__all__ = [
    "Access",
    "Allowed",
    "Approval",
    "Audit",
    "Column",
    "Contract",
    "CustomDetector",
    "Discovery",
    "Document",
    "Erasure",
    "Grant",
    "Join",
    "Keys",
    "Limits",
    "Lineage",
    "Location",
    "Protection",
    "Quarantine",
    "Source",
    "Target",
    "Treatment",
    "detectors",
    "json_schema",
    "load",
    "problems_of",
    "read_model",
    "having",
]
