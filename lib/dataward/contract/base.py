"""Base class and common types of the contract's models."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

__all__ = ["NAME", "HttpUrl", "Misfit", "Model", "Name", "Scalar"]

Scalar = str | int | float | bool
NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME)]


def _without_user(url: str) -> str:
    if "@" in urlsplit(url).netloc:
        raise ValueError("the URL holds a user or a password, which messages and records would show: remove it")
    return url


HttpUrl = Annotated[str, Field(pattern=r"^https?://."), AfterValidator(_without_user)]


class Model(BaseModel):
    """A frozen model that refuses unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)


class Misfit(ValueError):
    """Fields that do not fit together, with the place of the one to change."""

    def __init__(self, message: str, *place: str) -> None:
        """Keep the place, relative to the model that is validated."""
        self.place = place
        super().__init__(message)
