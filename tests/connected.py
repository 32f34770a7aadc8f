"""Sessions of Spark Connect without a server, for tests."""

from types import SimpleNamespace

from dataward.contract import Contract


class Recording:
    """A session that records SQL."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.catalog = SimpleNamespace(dropTempView=lambda name: self.said.append(f"drop {name}"))

    def sql(self, text: str) -> "Recording":
        self.said.append(text)
        return self

    def collect(self) -> list[object]:
        return []

    def createOrReplaceTempView(self, name: str) -> None:
        self.said.append(f"view {name}")


class Shared:
    """A session of a platform that gives no second one; ``fixed``: settings that it refuses to change; ``lists``: whether SET works."""

    _active_session = SimpleNamespace(session=None)
    session_id = "shared"

    def __init__(self, settings: dict[str, str], fixed: tuple[str, ...] = (), lists: bool = True) -> None:
        self.settings, self.fixed, self.lists, self.conf = dict(settings), fixed, lists, self

    def set(self, key: str, value: str) -> None:
        if key in self.fixed:
            raise RuntimeError("CONFIG_NOT_AVAILABLE")
        self.settings[key] = value

    def get(self, key: str, *default: object) -> object:
        if key in self.fixed and key not in self.settings:
            raise RuntimeError("CONFIG_NOT_AVAILABLE")
        return self.settings.get(key, *default) if default else self.settings[key]

    def unset(self, key: str) -> None:
        del self.settings[key]

    def sql(self, text: str) -> SimpleNamespace:
        assert text in ("SET", "SHOW VIEWS")
        if not self.lists:
            raise RuntimeError("CONFIG_NOT_AVAILABLE")
        return SimpleNamespace(collect=lambda: list(self.settings.items()))


def contract(**more: object) -> Contract:
    plain = {
        "contract": "c",
        "source": {"format": "csv", "path": "/data/a.csv"},
        "target": {"path": "/lake/a", "mode": "overwrite"},
        "keys": {"provider": "local", "path": "keys", "domain": "d"},
        "engine": "spark",
        "default": "keep",
    }
    return Contract.model_validate({**plain, **more})
