"""Keep a keyring as one secret of a Databricks secret scope, through the Databricks SDK.

The scope's access list controls who may read it. Secrets have no conditional writes: change a keyring from one place at a time.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotFound
from databricks.sdk.errors.base import DatabricksError

from dataward.errors import KeyringError

__all__ = ["Secret"]


@dataclass(frozen=True)
class Secret:
    """A keyring in the secret ``path``, SCOPE/NAME."""

    path: str

    def __str__(self) -> str:
        """Return the secret's name for messages."""
        return f"databricks secret {self.path}"

    def read(self) -> str | None:
        """Read the keyring's text; None where there is no such secret.

        Raises:
            KeyringError: Databricks refused, or could not be reached.
        """
        scope, name = self._place
        try:
            secret = self._call(lambda client: client.secrets.get_secret(scope, name))
        except NotFound:
            return None
        return base64.b64decode(secret.value).decode(errors="replace")

    def change(self, change: Callable[[str | None], str]) -> str:
        """Replace the keyring's text; ``change`` maps the present text (None: no secret) to the new text.

        Raises:
            KeyringError: the scope does not exist, Databricks refused, or could not be reached.
        """
        scope, name = self._place
        text = change(self.read())
        try:
            self._call(lambda client: client.secrets.put_secret(scope, name, string_value=text))
        except NotFound:
            raise KeyringError(f"{self}: there is no scope '{scope}'. Create it in Databricks first") from None
        return text

    @property
    def _place(self) -> tuple[str, str]:
        scope, _, name = self.path.partition("/")
        return scope, name

    def _call(self, call: Callable[[WorkspaceClient], Any]) -> Any:
        """Call Databricks; errors other than NotFound become KeyringError."""
        try:
            return call(WorkspaceClient())
        except NotFound:
            raise
        except DatabricksError as error:
            raise KeyringError(
                f"{self}: Databricks answered {error.error_code or type(error).__name__}; check the scope's access list"
            ) from None
        except (ValueError, OSError) as error:
            raise KeyringError(
                f"{self}: Databricks could not be reached ({type(error).__name__}); check host and credentials"
            ) from None
