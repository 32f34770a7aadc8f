"""A keyring that moves to another provider keeps its keys; a kill at any step loses nothing."""

import itertools
import json
import os
import signal
from pathlib import Path

import pytest

from dataward.cli import main
from dataward.contract import Keys
from dataward.errors import KeyringError, UsageError
from dataward.keys import create_keyring, derive, local_keyring, migrate_keyring, open_keys, web
from dataward.keys.local import LocalFile, Plain
from dataward.keys.migrate import Place, migrate
from tests.aws import aws
from tests.keyservices import Error, environment, services


@pytest.fixture
def cloud(monkeypatch, tmp_path):
    monkeypatch.setattr(web, "PAUSE", 0.001)
    monkeypatch.delenv("VAULT_CACERT", raising=False)
    with services() as made:
        for name, value in environment(made.url, tmp_path).items():
            monkeypatch.setenv(name, value)
        made.transit_key("k")
        made.transit_key("other")
        yield made


@pytest.fixture
def places(cloud, tmp_path):
    return {
        "local": Keys(path=str(tmp_path / "local"), domain="x"),
        "vault": Keys(provider="vault", path=str(tmp_path / "vault"), key="transit/k", domain="x"),
        "kv": Keys(provider="vault", path="vault://secret/ring", domain="x"),
        "azure": Keys(
            provider="azure_key_vault",
            path=str(tmp_path / "azure"),
            key=cloud.azure_key("k"),
            env="prod",
            domain="x",
        ),
        "google": Keys(provider="gcp_kms", path=str(tmp_path / "google"), key=cloud.gcp_key("k"), domain="x"),
    }


def filled(keys):
    """Two domains, one of them in the middle of a rotation and with a disabled version."""
    ring = create_keyring(keys)
    ring.add_domain("x")
    ring.add_domain("y")
    ring.rotate("x")
    ring.close_window("x")
    ring.rotate("x")
    ring.set_enabled("x", 1, False)
    return ring


def content(keys):
    """Everything that a keyring gives, with the keys of disabled versions."""
    ring = open_keys(keys)
    described = {
        domain: [(n, one.created, one.enabled, one.fingerprint) for n, one in ring.versions(domain).items()]
        + [ring.newest(domain), ring.window(domain)]
        for domain in ring.domains
    }
    secrets = {
        (domain, n): derive(ring._unwrapped(domain, n), "token", domain, n)
        for domain in ring.domains
        for n in ring.versions(domain)
    }
    return described, secrets


@pytest.mark.parametrize(
    ("old", "new"), [("local", "vault"), ("vault", "azure"), ("azure", "google"), ("google", "kv"), ("kv", "local")]
)
def test_every_key_is_the_same_in_the_new_place(places, old, new):
    filled(places[old])
    before = content(places[old])
    done = migrate_keyring(places[old], places[new])
    assert (done.domains, done.versions, done.new) == (2, 4, 4)
    assert content(places[new]) == before == content(places[old])
    with pytest.raises(KeyringError, match=rf"has moved to {done.place}: name that one under 'keys'"):
        open_keys(places[old]).rotate("x")
    again = migrate_keyring(places[old], places[new])
    assert again.new == 0
    assert open_keys(places[new]).rotate("y") == 2


@pytest.mark.parametrize(("old", "new"), [("vault", "azure"), ("azure", "kv")])
def test_a_migration_that_a_service_interrupts_anywhere_is_finished_by_the_next(places, cloud, old, new):
    filled(places[old])
    before, failed = content(places[old]), 0
    for answered in itertools.count(0, 3):
        left = iter([None] * answered)
        cloud.fault = lambda operation, left=left: next(left, Error(403)) if operation != "login" else None
        try:
            migrate_keyring(places[old], places[new])
        except KeyringError:
            failed += 1
        else:
            break
        finally:
            cloud.fault = lambda operation: None
        assert content(places[old]) == before
    assert failed > 2
    assert content(places[new]) == before == content(places[old])
    assert migrate_keyring(places[old], places[new]).new == 0


def test_aws_wraps_given_secrets_under_their_context(places, tmp_path):
    filled(places["local"])
    before = content(places["local"])
    with aws() as cloud:
        key = cloud.client("kms").create_key()["KeyMetadata"]["KeyId"]
        named = Keys(provider="aws_kms", key=key, path=str(tmp_path / "aws"), domain="x")
        migrate_keyring(places["local"], named)
        assert content(named) == before
        with pytest.raises(KeyringError, match="another env, domain or key"):
            open_keys(named.model_copy(update={"env": "prod"})).key("token", "x", 3)


def test_a_keyring_that_moved_back_takes_changes_again(places):
    filled(places["local"])
    migrate_keyring(places["local"], places["vault"])
    open_keys(places["vault"]).rotate("y")
    after = content(places["vault"])
    assert migrate_keyring(places["vault"], places["local"]).new == 1
    assert content(places["local"]) == after
    assert open_keys(places["local"]).moved is None
    with pytest.raises(KeyringError, match="has moved to .*local: migrate from there"):
        migrate_keyring(places["vault"], places["google"])


def test_another_wrapping_key_in_the_same_place_takes_one_step(places, tmp_path):
    filled(places["vault"])
    before = content(places["vault"])
    named = places["vault"].model_copy(update={"key": "transit/other", "path": str(tmp_path / "." / "vault")})
    migrate_keyring(places["vault"], named)
    assert content(named) == before
    assert open_keys(named).moved is None
    with pytest.raises(KeyringError, match="wrapped for another"):
        open_keys(places["vault"]).key("token", "x", 3)


@pytest.mark.parametrize("kind", ["local", "kv"])
def test_a_keyring_that_nothing_wraps_is_not_moved_onto_itself(places, kind, capsys):
    filled(places[kind])
    before = content(places[kind])
    with pytest.raises(UsageError, match="FROM and TO are one keyring"):
        migrate_keyring(places[kind], places[kind].model_copy())
    assert content(places[kind]) == before
    if kind == "local":
        path = Path(places[kind].path)
        assert main(["keys", "migrate", str(path), str(path.parent / "." / path.name)]) == 2
        assert "Name the new keyring's file as TO" in capsys.readouterr().err


def test_a_place_with_other_keys_is_never_overwritten(places):
    filled(places["local"])
    filled(places["google"])
    before = content(places["google"])
    with pytest.raises(KeyringError, match="exists and holds another key .*: it is never overwritten"):
        migrate_keyring(places["local"], places["google"])
    assert content(places["google"]) == before
    assert open_keys(places["local"]).moved is None


def test_a_damaged_key_stops_the_migration_before_anything_is_written(places, tmp_path):
    filled(places["local"])
    text = json.loads((tmp_path / "local").read_text())
    text["domains"]["y"]["versions"]["1"] |= {"secret": "00" * 32}
    (tmp_path / "local").write_text(json.dumps(text))
    with pytest.raises(KeyringError, match="is damaged"):
        migrate_keyring(places["local"], places["vault"])
    assert not (tmp_path / "vault").exists()


class Watched:
    """A place whose operations are counted; ``at`` is called before and after each of them."""

    def __init__(self, path, at):
        self.path, self.at, self.store, self.plain = path, at, LocalFile(path), Plain()
        self.lazily = False

    def __str__(self):
        return str(self.path)

    def _step(self, run):
        self.at()
        result = run()
        self.at()
        return result

    def read(self):
        return self._step(self.store.read)

    def change(self, change):
        return self._step(lambda: self.store.change(change))

    def wrap(self, *given):
        return self._step(lambda: "w" + self.plain.wrap(*given))

    def unwrap(self, domain, version, written):
        return self._step(lambda: self.plain.unwrap(domain, version, written.removeprefix("w")))


def steps_of(old, new, at):
    ours, theirs = Watched(old, at), Watched(new, at)
    return migrate(Place(ours, ours), Place(theirs, theirs))


def test_a_process_that_is_killed_at_any_step_loses_nothing(tmp_path):
    filled(Keys(path=str(tmp_path / "kept"), domain="x"))
    text, counted = (tmp_path / "kept").read_text(), []
    (tmp_path / "old").write_text(text)
    (tmp_path / "old").chmod(0o600)
    before = local_keyring(tmp_path / "old")._document.domains
    steps_of(tmp_path / "old", tmp_path / "new", lambda: counted.append(1))
    assert len(counted) > 30
    for killed_at in range(len(counted)):
        for name in ("new", ".new.lock"):
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "old").write_text(text)
        left = iter(range(killed_at, -1, -1))
        if not (child := os.fork()):
            steps_of(
                tmp_path / "old", tmp_path / "new", lambda left=left: next(left) or os.kill(os.getpid(), signal.SIGKILL)
            )
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        old = local_keyring(tmp_path / "old")
        assert old._document.domains == before
        if old.moved is not None:  # only once the new keyring is complete
            assert {*local_keyring(tmp_path / "new").domains} == {"x", "y"}
        steps_of(tmp_path / "old", tmp_path / "new", lambda: None)
        new = json.loads((tmp_path / "new").read_text().replace('"secret": "w', '"secret": "'))
        assert new == json.loads(text)
        assert local_keyring(tmp_path / "old").moved == str(tmp_path / "new")


def test_a_version_that_is_made_meanwhile_is_migrated_too(tmp_path):
    ring, calls = create_keyring(tmp_path / "old"), []
    ring.add_domain("x")

    def rotate():
        calls.append(1)
        if len(calls) == 8:
            local_keyring(tmp_path / "old").rotate("x")

    steps_of(tmp_path / "old", tmp_path / "new", rotate)
    assert len(calls) > 8
    assert [*json.loads((tmp_path / "new").read_text())["domains"]["x"]["versions"]] == ["1", "2"]


def test_the_verb_names_what_to_do_next(places, tmp_path, capsys):
    filled(places["local"])
    contract = "contract: c\nsource: {path: a}\ntarget: {path: b}\ncolumns: {id: {protect: keep}}\n"
    (tmp_path / "new.yaml").write_text(
        contract + f"keys: {{provider: vault, path: {tmp_path}/vault, key: transit/k, domain: x}}\n"
    )
    assert main(["keys", "migrate", str(tmp_path / "local"), str(tmp_path / "new.yaml")]) == 0
    said = capsys.readouterr().out
    assert "4 key versions of 2 domains" in said
    assert f"keys: {{provider: vault, path: {tmp_path}/vault, key: transit/k}}" in said
    assert main(["keys", "migrate", str(tmp_path / "local"), str(tmp_path / "new.yaml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["new"] == 0
    assert main(["keys", "list", str(tmp_path / "local")]) == 0
    assert f"has moved to {tmp_path}/vault" in capsys.readouterr().out
    assert main(["keys", "migrate", str(tmp_path / "nothing"), str(tmp_path / "new.yaml")]) == 3
    assert "there is no keyring" in capsys.readouterr().err
