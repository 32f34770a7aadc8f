"""Labelled columns for discovery: 42 classes over 15 locales, and things that only look like them.

The recipe: for every class some columns, each of one locale and with one way of writing; half of the columns of a class that
values tell have a name that says nothing (``col_17``), all others a name as people give them, in a language of the locale.
Classes that no one could tell by values alone (a passport's number) always have such a name. One column in three has texts
like ``N/A`` in the place of some values. Negatives are numbers, codes and words of things, half of them under names that
speak of something else (``order_no``), half under names that mislead (``email_count``, ``phone_model``) or say nothing; and for
every checksum random texts of its shape, which pass it as often as chance has it.
Seeds: those below 500 were looked at while the detectors were made; scores are told for seeds from 501 on.
"""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from faker import Faker
from stdnum import luhn, verhoeff

from dataward.privacy.discover.checksums import Stdnum, mod97
from dataward.privacy.discover.checksums import luhn as luhn_check
from dataward.privacy.discover.detector import Detector, Pattern
from dataward.privacy.discover.detectors import DETECTORS
from tests.shapes import text_of

LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "pt_BR", "nl_NL", "pl_PL", "sv_SE", "ru_RU", "zh_CN", "ja_JP", "ko_KR", "tr_TR",
)  # fmt: skip
Make = Callable[[Faker, random.Random], str]


@dataclass(frozen=True)
class Labelled:
    name: str
    values: list[str | None]
    label: str | None
    kind: str


def digits(r: random.Random, n: int, first: str = "123456789") -> str:
    return r.choice(first) + "".join(r.choice(string.digits) for _ in range(n - 1))


def of(r: random.Random, alphabet: str, n: int) -> str:
    return "".join(r.choice(alphabet) for _ in range(n))


def shaped(r: random.Random, shape: str) -> str:
    """``9`` a digit, ``A`` a capital, ``a`` a small letter, ``#`` a hexadecimal digit, all else itself."""
    kinds = {"9": string.digits, "A": string.ascii_uppercase, "a": string.ascii_lowercase, "#": "0123456789abcdef"}
    return "".join(r.choice(kinds[c]) if c in kinds else c for c in shape)


def until(r: random.Random, module: str, shape: str, **fixed: str) -> str:
    """A random text of a shape that python-stdnum takes for valid."""
    from importlib import import_module

    valid = import_module(f"stdnum.{module}").is_valid
    for _ in range(1_000_000):
        if valid(text := shaped(r, shape)):
            return text
    raise AssertionError(f"no {module} of shape {shape}")


def day(r: random.Random, first: int = 1935, last: int = 2010) -> date:
    return date(first, 1, 1) + timedelta(days=r.randrange((last - first) * 365))


def dashed(r: random.Random, text: str, size: int = 4) -> str:
    return r.choice((" ", "-")).join(text[i : i + size] for i in range(0, len(text), size))


def card(f: Faker, r: random.Random, style: int) -> str:
    first, size = r.choice((("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("37", 15), ("6011", 16)))
    body = first + digits(r, size - 1 - len(first), string.digits)
    number = body + luhn.calc_check_digit(body)
    if style == 1 and len(number) == 16:
        return dashed(r, number)
    return "".join(chr(ord(c) + 0xFEE0) for c in number) if style == 2 else number


def national(f: Faker, r: random.Random, locale: str) -> str:  # noqa: C901 - a country a line
    """The numbers of a locale's country, with valid check digits."""
    d = day(r)
    if locale == "en_US":
        return (
            f"{r.choice([n for n in range(1, 900) if n != 666]):03}-{r.randrange(1, 100):02}-{r.randrange(1, 10000):04}"
        )
    if locale == "pt_BR":
        return f.cpf()
    if locale == "es_ES":
        return f.nif() if hasattr(f, "nif") else f.ssn()
    if locale == "fr_FR":
        body = f"{r.choice('12')}{d:%y%m}{r.randrange(1, 96):02}{r.randrange(1, 990):03}{r.randrange(1, 999):03}"
        return body + f"{97 - int(body) % 97:02}"
    if locale == "it_IT":
        return f.ssn()
    if locale == "nl_NL":
        return until(r, "nl.bsn", "999999999")
    if locale == "pl_PL":
        return f.pesel()
    if locale == "sv_SE":
        body = f"{d:%y%m%d}{r.randrange(1, 999):03}"
        return f"{body[:6]}-{body[6:]}{luhn.calc_check_digit(body)}"
    if locale == "zh_CN":
        return f.ssn()
    if locale == "ko_KR":
        body = f"{d:%y%m%d}{r.choice('12' if d.year < 2000 else '34')}{digits(r, 5, string.digits)}"
        check = (
            11 - sum(int(c) * w for c, w in zip(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5), strict=True)) % 11
        ) % 10
        return f"{body[:6]}-{body[6:]}{check}"
    if locale == "tr_TR":
        return until(r, "tr.tckimlik", digits(r, 8) + "999")
    if locale == "ja_JP":
        return until(r, "jp.in_", "999999999999")
    if locale == "en_GB":
        return f"{r.choice('ABCEGHJKLMNOPRSTWXYZ')}{r.choice('ABCEGHJKLMNPRSTWXYZ')}{digits(r, 6)}{r.choice('ABCD')}"
    if locale == "ru_RU":  # no number of that name there: India's
        body = digits(r, 11, "23456789")
        return body + verhoeff.calc_check_digit(body)
    body = digits(r, 10)  # de_DE: the tax number is the national one; here Canada's
    return until(r, "ca.sin", "999-999-999")


def tax(f: Faker, r: random.Random, locale: str) -> str:
    table = {
        "de_DE": ("de.idnr", "99999999999"), "pt_BR": ("br.cnpj", "99.999.999/0001-99"), "pl_PL": ("pl.nip", "999-999-99-99"), "ru_RU": ("ru.inn", "999999999999"),
        "it_IT": ("it.iva", "99999999999"), "es_ES": ("es.cif", "A99999999"), "nl_NL": ("nl.btw", "NL999999999B01"), "fr_FR": ("fr.tva", "FR99999999999"),
        "en_GB": ("gb.vat", "GB999999999"), "tr_TR": ("tr.vkn", "9999999999"),
    }  # fmt: skip
    if locale == "de_DE":
        return f"DE{until(r, 'de.vat', '999999999')}"
    if locale == "es_ES":
        return "ES" + until(r, "es.cif", r.choice("AB") + "99999999")
    if locale in table:
        return until(r, *table[locale])
    return f"{r.choice((12, 20, 27, 35, 46, 58, 61, 84))}-{digits(r, 7)}"


def mail(f: Faker, r: random.Random) -> str:
    return r.choice((f.email, f.free_email, f.company_email))()


def mrz(f: Faker, r: random.Random) -> str:
    return f"{of(r, string.ascii_uppercase, 1)}{digits(r, 8)}"


def b64(data: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(data).encode()).rstrip(b"=").decode()


def wallet(r: random.Random) -> str:
    import hashlib

    if r.random() < 0.4:
        return "0x" + of(r, "0123456789abcdef", 40)
    body = b"\0" + r.randbytes(20)
    whole = body + hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4]
    number, text = int.from_bytes(whole, "big"), ""
    alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    while number:
        number, rest = divmod(number, 58)
        text = alphabet[rest] + text
    return "1" + text


def vin(f: Faker, r: random.Random) -> str:
    from dataward.privacy.discover.detectors.vin import VALUES, WEIGHTS

    text = of(r, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789", 17)
    rest = sum(VALUES[c] * w for c, w in zip(text, WEIGHTS, strict=True)) % 11
    return text[:8] + "0123456789X"[rest] + text[9:]


def npi(r: random.Random) -> str:
    body = "1" + digits(r, 8, string.digits)
    return body + luhn.calc_check_digit("80840" + body)


def cookie(r: random.Random) -> str:
    return r.choice(
        ("sessionid={}; Path=/; HttpOnly", "JSESSIONID={}", "PHPSESSID={}; theme=dark", "connect.sid={}; Secure")
    ).format(of(r, string.ascii_letters + string.digits, 32))


def secret(r: random.Random) -> str:
    text = string.ascii_letters + string.digits
    return r.choice((lambda: "ghp_" + of(r, text, 36), lambda: "xoxb-" + digits(r, 12) + "-" + of(r, text, 24), lambda: "sk_live_" + of(r, text, 24), lambda: "glpat-" + of(r, text, 20)))()  # fmt: skip


def cloud(r: random.Random) -> str:
    upper = string.ascii_uppercase + "234567"
    return r.choice(
        (lambda: "AKIA" + of(r, upper, 16), lambda: "AIza" + of(r, string.ascii_letters + string.digits, 35))
    )()


def coordinates(f: Faker, r: random.Random) -> str:
    return f"{f.latitude()}, {f.longitude()}"


def expiry(r: random.Random) -> str:
    return f"{r.randrange(1, 13):02}/{r.randrange(25, 33)}"


def birth(r: random.Random, style: int) -> str:
    return format(day(r), ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")[style])


# class: (a column's way of writing -> a value), names, whether values tell it without a name
CLASSES: dict[str, tuple[Callable[[Faker, random.Random, str, int], str], str, bool]] = {
    "email": (lambda f, r, l, s: mail(f, r), "email e_mail contact_email emailAddress mail correo", True),
    "phone": (lambda f, r, l, s: "+" + digits(r, 2, "3") + " " + digits(r, 9) if s == 1 else f.phone_number(), "phone mobile tel phoneNumber telefon fax_no", False),
    "payment_card": (lambda f, r, l, s: card(f, r, s), "card_number credit_card cc_num pan kreditkarte", True),
    "card_expiry": (lambda f, r, l, s: expiry(r), "card_expire expiry_date expiration valid_thru", False),
    "card_security_code": (lambda f, r, l, s: digits(r, 3, string.digits), "cvv cvc card_security_code", False),
    "iban": (lambda f, r, l, s: dashed(r, f.iban()).replace("-", " ") if s == 1 else f.iban(), "iban account_iban", True),
    "bic": (lambda f, r, l, s: f.swift(length=r.choice((8, 11))), "bic swift_code", False),
    "bank_account": (lambda f, r, l, s: f.bban() if s else digits(r, 10), "account_number bank_account bban acct_no kontonummer", False),
    "national_id": (lambda f, r, l, s: national(f, r, l), "national_id ssn id_number identity_number personal_number", True),
    "tax_id": (lambda f, r, l, s: tax(f, r, l), "tax_id vat_number tin tax_number", False),
    "passport": (lambda f, r, l, s: mrz(f, r) if s else digits(r, 9), "passport passport_number reisepass passport_no", False),
    "driving_licence": (lambda f, r, l, s: shaped(r, ("A9999999", "999999999", "AA99 999999", "A999-9999-9999")[s]), "driving_licence drivers_license license_number fuhrerschein", False),
    "birth_date": (lambda f, r, l, s: birth(r, s), "birth_date dob date_of_birth geburtsdatum birthday", False),
    "person_name": (lambda f, r, l, s: (f.name, f.first_name, f.last_name, f.name)[s](), "name full_name customer_name surname first_name patient", True),
    "postal_address": (lambda f, r, l, s: f.street_address() if s and hasattr(f, "street_address") else f.address().replace("\n", ", "), "address street_address addr home_address adresse", True),
    "postcode": (lambda f, r, l, s: f.postcode(), "zip postcode postal_code plz zip_code", False),
    "ip_address": (lambda f, r, l, s: f.ipv6() if s == 1 else f.ipv4(), "ip ip_address client_ip remote_addr", True),
    "mac_address": (lambda f, r, l, s: f.mac_address().upper().replace(":", "-") if s == 1 else f.mac_address(), "mac mac_address wifi_mac", True),
    "imei": (lambda f, r, l, s: (b := "35" + digits(r, 12)) + luhn.calc_check_digit(b), "imei imei_number device_imei", True),
    "sim_id": (lambda f, r, l, s: (b := "8949" + digits(r, 14)) + luhn.calc_check_digit(b), "iccid sim_number", True),
    "vin": (lambda f, r, l, s: vin(f, r), "vin chassis_number vehicle_id", True),
    "licence_plate": (lambda f, r, l, s: f.license_plate(), "licence_plate plate_number kennzeichen plate", False),
    "health_id": (lambda f, r, l, s: mbi(r) if s % 2 else until(r, "gb.nhs", "9999999999"), "nhs_number patient_id medicare_number mbi", False),
    "provider_id": (lambda f, r, l, s: npi(r), "npi provider_npi npi_number", True),
    "diagnosis": (lambda f, r, l, s: f"{r.choice('ABCDEFGHIJKLMN')}{r.randrange(10, 99)}.{r.randrange(0, 10)}", "icd10 diagnosis_code dx icd_code", True),
    "drug_code": (lambda f, r, l, s: shaped(r, "99999-9999-99"), "ndc drug_code ndc_code", False),
    "crypto_wallet": (lambda f, r, l, s: wallet(r), "wallet btc_address wallet_address", True),
    "geo_coordinates": (lambda f, r, l, s: coordinates(f, r), "location coordinates gps geo", True),
    "cloud_key": (lambda f, r, l, s: cloud(r), "access_key aws_key cloud_key", True),
    "api_token": (lambda f, r, l, s: secret(r), "api_token api_key token", True),
    "jwt": (lambda f, r, l, s: f"{b64({'alg': 'HS256', 'typ': 'JWT'})}.{b64({'sub': digits(r, 8)})}.{of(r, string.ascii_letters, 43)}", "jwt id_token", True),
    "private_key": (lambda f, r, l, s: f"-----BEGIN RSA PRIVATE KEY-----\n{of(r, string.ascii_letters, 64)}\n-----END RSA PRIVATE KEY-----", "private_key ssh_key", True),
    "url_password": (lambda f, r, l, s: f"postgresql://{f.user_name()}:{of(r, string.ascii_letters, 10)}@{f.domain_name()}:5432/db", "dsn database_url", True),
    "session_cookie": (lambda f, r, l, s: cookie(r), "cookie session_cookie", True),
    "password": (lambda f, r, l, s: f.password(), "password passwd user_password pwd", False),
    "password_hash": (lambda f, r, l, s: "$2b$12$" + of(r, string.ascii_letters + string.digits, 53), "password_hash hashed_password", True),
    "gender": (lambda f, r, l, s: r.choice((("male", "female"), ("M", "F"), ("m", "w", "d"), ("Male", "Female", "Other"))[s]), "gender sex geschlecht", False),
    "blood_type": (lambda f, r, l, s: r.choice(("A+", "A-", "B+", "B-", "AB+", "AB-", "O+", "O-")), "blood_type blood_group", True),
    "religion": (lambda f, r, l, s: r.choice(("Christian", "Muslim", "Hindu", "Buddhist", "Jewish", "Atheist", "Catholic", "Sikh")), "religion faith", True),
    "marital_status": (lambda f, r, l, s: r.choice(("married", "single", "divorced", "widowed")), "marital_status civil_status", True),
    "username": (lambda f, r, l, s: f.user_name(), "username login user_name", False),
    "device_id": (lambda f, r, l, s: str(uuid.UUID(int=r.getrandbits(128))), "device_id idfa advertising_id", False),
}  # fmt: skip


def mbi(r: random.Random) -> str:
    letters = "ACDEFGHJKMNPQRTUVWXY"
    kinds = {"C": "123456789", "A": letters, "B": letters + string.digits, "9": string.digits}
    return "".join(r.choice(kinds[c]) for c in "CAB9AB9AA99")


THINGS: dict[str, tuple[Make, str]] = {
    "order number": (lambda f, r: shaped(r, "ORD-9999999"), "order_no order_id"),
    "order number of 10 digits": (lambda f, r: digits(r, 10), "order_number invoice_no"),
    **{f"{n} digits": (lambda f, r, n=n: digits(r, n), "order_number tracking_no item_no transaction_id") for n in range(6, 20)},
    **{f"up from, {n} digits": (lambda f, r, n=n: str(10 ** (n - 1) + r.randrange(10**4)), "sequence_no row_id") for n in (8, 9, 10, 12, 15, 16)},
    "sha-256": (lambda f, r: of(r, "0123456789abcdef", 64), "sha256 checksum content_hash"),
    "sha-1": (lambda f, r: of(r, "0123456789abcdef", 40), "commit revision checksum"),
    "md5": (lambda f, r: of(r, "0123456789abcdef", 32), "md5 etag"),
    "uuid": (lambda f, r: str(uuid.UUID(int=r.getrandbits(128))), "request_id event_id id correlation_id"),
    "timestamp": (lambda f, r: (datetime(2022, 1, 1) + timedelta(seconds=r.randrange(10**8))).isoformat(), "created_at updated_at timestamp"),
    "date": (lambda f, r: (date(2020, 1, 1) + timedelta(days=r.randrange(2000))).isoformat(), "order_date shipped_on due_date"),
    "date, day first": (lambda f, r: format(date(2020, 1, 1) + timedelta(days=r.randrange(2000)), "%d.%m.%Y"), "booking_date datum"),
    "epoch": (lambda f, r: str(1_600_000_000 + r.randrange(10**8)), "epoch ts event_time"),
    "epoch in ms": (lambda f, r: str(1_600_000_000_000 + r.randrange(10**11)), "ts_ms event_time_ms"),
    "product code": (lambda f, r: shaped(r, "AA-9999-A"), "product_code sku"),
    "sku": (lambda f, r: shaped(r, "AAA9999"), "sku article_no"),
    "error code": (lambda f, r: shaped(r, "E9999"), "error_code status_code"),
    "http status": (lambda f, r: r.choice(("200", "404", "500", "301", "503")), "status http_status"),
    "version": (lambda f, r: f"{r.randrange(10)}.{r.randrange(30)}.{r.randrange(20)}", "version release firmware"),
    "version of four parts": (lambda f, r: f"{r.randrange(10)}.{r.randrange(20)}.{r.randrange(10)}.{r.randrange(100)}", "build_version app_version driver_version"),
    "price": (lambda f, r: f"{r.uniform(1, 999):.2f}", "price amount total"),
    "ratio": (lambda f, r: f"{r.random():.6f}", "score ratio probability"),
    "temperature": (lambda f, r: f"{r.uniform(-20, 40):.3f}", "temperature reading value"),
    "quantity": (lambda f, r: str(r.randrange(1, 100)), "quantity count num_items"),
    "year": (lambda f, r: str(r.randrange(1990, 2026)), "year model_year"),
    "country": (lambda f, r: r.choice(("US", "DE", "FR", "GB", "ES", "IT", "NL", "PL")), "country country_code"),
    "status": (lambda f, r: r.choice(("active", "inactive", "pending", "deleted")), "status account_status email_status"),
    "colour": (lambda f, r: r.choice(("red", "green", "blue", "black", "white", "orange")), "color colour"),
    "company": (lambda f, r: f.company(), "company company_name employer vendor_name"),
    "job": (lambda f, r: f.job(), "job job_title position"),
    "sentence": (lambda f, r: f.sentence(), "description comment notes"),
    "word": (lambda f, r: f.word(), "category tag keyword"),
    "url": (lambda f, r: f.url() + f.uri_path(), "url link website image_url"),
    "file": (lambda f, r: f.file_path(depth=2), "file_path file_name"),
    "isbn": (lambda f, r: f.isbn13(), "isbn"),
    "ean": (lambda f, r: f.ean13(), "ean barcode gtin"),
    "parcel": (lambda f, r: "1Z" + shaped(r, "999AA99999999999"), "tracking_number parcel_id"),
    "flight": (lambda f, r: f"{r.choice(('LH', 'BA', 'AF', 'UA', 'DL'))}{r.randrange(100, 9999)}", "flight flight_no"),
    "aircraft": (lambda f, r: shaped(r, "N999AA"), "tailnum aircraft"),
    "hex of 12": (lambda f, r: of(r, "0123456789abcdef", 12), "short_hash span_id"),
    "base64": (lambda f, r: base64.b64encode(r.randbytes(24)).decode(), "payload blob etag"),
    "boolean": (lambda f, r: r.choice(("true", "false")), "is_active email_verified has_phone"),
    "currency": (lambda f, r: f.currency_code(), "currency"),
    "mime": (lambda f, r: f.mime_type(), "content_type mime"),
    "ticket": (lambda f, r: shaped(r, "JIRA-9999"), "ticket issue_key"),
    "grid": (lambda f, r: shaped(r, "A99"), "seat shelf bay"),
    "time": (lambda f, r: f"{r.randrange(24):02}:{r.randrange(60):02}:{r.randrange(60):02}", "time start_time"),
    "semver range": (lambda f, r: f"^{r.randrange(9)}.{r.randrange(9)}.{r.randrange(9)}", "dependency"),
    "duration": (lambda f, r: f"{r.randrange(1, 500)}ms", "latency duration"),
    "city": (lambda f, r: f.city(), "city town airport_name"),
    "product": (lambda f, r: f"{r.choice(('Red', 'Large', 'Wireless', 'Steel', 'Classic'))} {r.choice(('Chair', 'Lamp', 'Mouse', 'Kettle', 'Bike'))} {r.randrange(10, 99)}", "product_name item_name title"),
    "user agent": (lambda f, r: f.user_agent(), "user_agent browser"),
}  # fmt: skip
MISLEADING = (
    "email_count",
    "phone_model",
    "card_type",
    "ip_version",
    "address_type",
    "name_length",
    "is_email_valid",
    "birth_country_code",
)
SAYING_NOTHING = ("col_17", "c3", "value", "field_9", "x", "data", "attr2", "v", "info_1", "unnamed_4")
ABSENT = ("N/A", "-", "unknown", "", None, "n/a", "NULL")


def columns(seed: int, rows: int = 200, each: int = 4) -> list[Labelled]:
    """Columns of every class, ``each`` of them, and as many of every other thing as make about as many columns."""
    r = random.Random(seed)
    fakers = {locale: Faker(locale) for locale in LOCALES}
    for f in fakers.values():
        f.seed_instance(r.getrandbits(32))
    made = []
    for label, (make, names, by_values) in CLASSES.items():
        for number in range(each):
            locale, style = r.choice(LOCALES), r.randrange(4)
            if not hasattr(fakers[locale], "license_plate") and label == "licence_plate":
                locale = "en_US"
            telling = not by_values or number % 2 == 0
            name = _name(r, names.split()) if telling else r.choice(SAYING_NOTHING)
            values = _values(r, rows, lambda make=make, f=fakers[locale], l=locale, s=style: make(f, r, l, s))
            made.append(Labelled(name, values, label, f"{label} {locale} {style}"))
    for thing, (make_thing, names) in THINGS.items():
        for number in range(max(1, each // 2)):
            f = fakers[r.choice(LOCALES)]
            name = _name(r, names.split()) if number % 2 == 0 else r.choice(SAYING_NOTHING + MISLEADING)
            made.append(Labelled(name, _values(r, rows, lambda make=make_thing, f=f: make(f, r)), None, thing))
    for one, pattern in checked():
        texts = lambda pattern=pattern: text_of(pattern.regex, r)  # noqa: E731
        name = r.choice((*SAYING_NOTHING, "code", "item_no", "ref"))
        made.append(Labelled(name, _values(r, rows, texts), None, f"at chance: {one.class_} {pattern.name}"))
    return made


def checked() -> list[tuple[Detector, Pattern]]:
    """Every pattern with a checksum behind it: random texts of its shape pass at the level of chance, and are nothing."""
    return [
        (one, pattern)
        for one in DETECTORS
        for pattern in one.patterns
        if isinstance(pattern.check, Stdnum) or pattern.check in (luhn_check, mod97)
    ]


def _name(r: random.Random, names: list[str]) -> str:
    name = r.choice(names)
    return r.choice((name, name, name.upper(), f"cust_{name}", name.title().replace("_", "")))


def _values(r: random.Random, rows: int, make: Callable[[], str]) -> list[str | None]:
    absent = r.choice((0, 0, 0.1))
    return [r.choice(ABSENT) if r.random() < absent else make() for _ in range(rows)]
