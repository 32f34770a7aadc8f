"""How many cases a law is tried on: Hypothesis' hundred, in `make test` a quarter of them, or so many times that."""

from hypothesis import settings

settings.register_profile("quick", max_examples=25)
