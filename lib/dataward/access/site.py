"""Settings of a machine: ``access`` and ``audit`` for contracts without their own, and for verbs without a contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dataward.contract import Access, Audit, Contract, read_model
from dataward.contract.base import Model

__all__ = ["SITE", "Settings", "settings"]

SITE = Path("/etc/dataward/site.yaml")
"""A fixed path, which only root can write; governed users could change an environment variable."""


class _Site(Model):
    access: Access = Access()
    audit: Audit | None = None
    binding: bool = False


@dataclass(frozen=True)
class Settings:
    """Settings of one call.

    Attributes:
        access: the permissions.
        audit: the sinks of events; None: no events.
        binding: the machine's policies, which must permit a verb in addition to the contract's own.
    """

    access: Access
    audit: Audit | None
    binding: Access | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing needs a decision or a record."""
        return self.audit is None and not self.access.governed and self.binding is None


def settings(contract: Contract | None) -> Settings:
    """Return the settings of a contract, with defaults of the machine.

    Raises:
        ContractError: the machine's file is invalid; then nothing is permitted.
    """
    site = read_model(SITE, _Site) if SITE.exists() else _Site()
    if contract is None:
        return Settings(site.access, site.audit)
    own = contract.access
    access = (
        own if own.governed else site.access.model_copy(update={"reidentify": own.reidentify or site.access.reidentify})
    )
    binding = site.access if site.binding and site.access.governed and own.governed else None
    return Settings(access if site.access.governed or own.governed else own, contract.audit or site.audit, binding)
