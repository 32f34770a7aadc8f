"""``geo_coordinates``: places on earth by latitude and longitude, with three decimals (110 m) or more."""

from collections.abc import Sequence

from dataward.privacy.discover.detector import Detector, Pattern

LATITUDE = r"[+-]?(?:[0-8]?[0-9]\.[0-9]{3,16}|90\.0+)"
LONGITUDE = r"[+-]?(?:1[0-7][0-9]|[0-9]{1,2})\.[0-9]{3,16}"


def on_earth(texts: Sequence[str]) -> list[bool]:
    """Return which texts are numbers from -180 to 180."""
    return [abs(float(text)) <= 180 for text in texts]


DETECTOR = Detector(
    class_="geo_coordinates",
    explains="places by latitude and longitude",
    patterns=(
        Pattern("pair", rf"[(\[]?{LATITUDE} ?[,; ] ?{LONGITUDE}[)\]]?", 5, inside="alone"),
        Pattern("degrees", r"[0-9]{1,3}° ?[0-9]{1,2}['′] ?(?:[0-9]{1,2}(?:\.[0-9]+)?[\"″])? ?[NSEW]", 6, inside="alone"),
        Pattern("well known text", rf"(?i)POINT ?\( ?{LONGITUDE} {LATITUDE} ?\)", 7, inside="alone"),
        Pattern("one number", r"[+-]?[0-9]{1,3}\.[0-9]{3,16}", -3, on_earth, 0.5, inside=""),
    ),
    names=("latitude", "longitude", "coordinates", "geo", "geolocation", "gps", "latlng", "breitengrad", "langengrad", "coords"),
    # A lat without a lon beside it may be a latency, and half a place leads nowhere.
    hints=("lat", "lon", "lng", "long", "location"),
    hinted=4.0,
    halves=("lat", "lon lng long"),
)  # fmt: skip
