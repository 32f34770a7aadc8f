"""Every detector, one file each. A new one is its file and its name in ``MODULES``."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from dataward.privacy.discover.detector import Detector

__all__ = ["CLASSES", "DETECTORS", "detector"]

MODULES = (
    "api_token bank_account bic birth_date blood_type card_expiry card_security_code cloud_key crypto_wallet device_id "
    "diagnosis driving_licence drug_code email gender geo_coordinates health_id iban imei ip_address jwt licence_plate "
    "mac_address marital_status national_id passport password password_hash payment_card person_name phone postal_address "
    "postcode private_key protected provider_id religion session_cookie sim_id tax_id url_password username vin"
).split()

DETECTORS: tuple[Detector, ...] = tuple(import_module(f"{__name__}.{name}").DETECTOR for name in MODULES)

CLASSES = frozenset(MODULES)


@cache
def detector(class_: str) -> Detector:
    """Return the detector of a class."""
    return next(one for one in DETECTORS if one.class_ == class_)
