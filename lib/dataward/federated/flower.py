"""Flower as the transport: a SuperLink carries the messages between the coordinator and the sites, which stay as they are.

The coordinator runs in a ServerApp. At each site a SuperNode's ClientApp passes messages on to ``dataward site serve`` beside it,
over mutual TLS, with a key of its own that the site's file names as its ``coordinator``. So a site keeps the secrets of a step in its own
process (Flower starts one per message), and what Flower carries is masked or signed as it is over HTTP: neither SuperLink nor
SuperNodes are trusted.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dataward.errors import DatawardError, RunError, SiteRefused, UsageError
from dataward.federated import certificates
from dataward.federated.coordinator import Unreachable
from dataward.federated.transport import Https

__all__ = ["RECORD", "Flower", "relayed"]

RECORD = "dataward"
"""Name of the record of a message, and of its action: ``query.dataward``."""
WHO = "who"
"""Stage that a ClientApp answers itself: the name of its site."""
PAUSE = 0.1
"""Seconds between two looks for replies."""


class Flower:
    """Sites behind the nodes of a Flower ``Grid``."""

    def __init__(self, grid: Any, sites: Sequence[str], timeout: float) -> None:
        """Wait until every site has a node, or ``timeout`` seconds have passed, then begin with those that have.

        Raises:
            RunError: no node answers for any site.
        """
        self._grid, self._timeout, self._lock = grid, timeout, threading.Lock()
        self._nodes: dict[str, int] = {}
        asked: set[int] = set()
        end = time.monotonic() + timeout
        while set(sites) - set(self._nodes) and time.monotonic() < end:
            fresh = sorted(set(grid.get_node_ids()) - asked)
            asked.update(fresh)
            for node, answer in self._exchange({node: _message(WHO, {}, node) for node in fresh}).items():
                name = str(answer.get("site", ""))
                if name in sites:
                    self._nodes.setdefault(name, node)
            time.sleep(PAUSE)
        if not self._nodes:
            raise RunError(
                f"no Flower node answers for {', '.join(sites)}: start a SuperNode for each with --node-config 'site=\"NAME\" ...'"
            )

    def call(self, site: str, stage: str, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the answer of a site: :class:`dataward.federated.coordinator.Transport`."""
        if (node := self._nodes.get(site)) is None:
            raise Unreachable("no Flower node answers for it")
        answer = self._exchange({node: _message(stage, message, node)}).get(node)
        if answer is None:
            raise Unreachable(f"its Flower node does not answer within {self._timeout:g} s")
        if "unreachable" in answer:
            raise Unreachable(str(answer["unreachable"])[:300])
        if "refused" in answer:
            raise SiteRefused(str(answer["refused"])[:300], str(answer.get("site", "")))
        body = answer.get("answer")
        if not isinstance(body, dict):
            raise SiteRefused("its answer is no JSON object", site)
        return body

    def _exchange(self, messages: Mapping[int, Any]) -> dict[int, dict[str, Any]]:
        """Send messages and return the replies by node, as far as they come in time."""
        if not messages:
            return {}
        with self._lock:  # a grid promises no safety between threads
            waiting = set(self._grid.push_messages(list(messages.values())))
        found: dict[int, dict[str, Any]] = {}
        end = time.monotonic() + self._timeout
        while waiting and time.monotonic() < end:
            with self._lock:
                replies = list(self._grid.pull_messages(list(waiting)))
            for reply in replies:
                waiting.discard(reply.metadata.reply_to_message_id)
                if not reply.has_error():  # an error is Flower's own: its node failed or is gone
                    found[reply.metadata.src_node_id] = _read(reply)
            if not replies:
                time.sleep(PAUSE)
        return found


def relayed(message: Any, settings: Mapping[str, Any]) -> Any:
    """Pass a message on to the site beside this node, and return its reply.

    Args:
        message: a Flower message of the coordinator.
        settings: the node's configuration: ``site`` (its name), ``url`` (https), ``public_key`` (the site's), ``key`` (this node's
            private key, whose public key the site's file names as ``coordinator``), ``timeout`` (seconds, default 60).
    """
    asked = _read(message)
    stage = str(asked.get("stage", ""))
    try:
        if missing := [name for name in ("site", "url", "public_key", "key") if name not in settings]:
            raise UsageError(f"the node's configuration lacks {', '.join(missing)}")
        name = str(settings["site"])
        if stage == WHO:
            return _reply(message, {"site": name})
        pem, key = Path(str(settings["public_key"])).read_bytes(), certificates.private_key(Path(str(settings["key"])))
        carry = Https({name: str(settings["url"])}, {name: pem}, key, float(settings.get("timeout", 60)))
        try:
            return _reply(message, {"answer": dict(carry.call(name, stage, asked["message"]))})
        finally:
            carry.close()
    except SiteRefused as error:
        return _reply(message, {"refused": str(error), "site": error.site})
    except (DatawardError, OSError, ValueError, KeyError, TypeError) as error:
        problem = str(error) if isinstance(error, DatawardError) else f"its node failed ({type(error).__name__})"
        return _reply(message, {"unreachable": problem})


def _message(stage: str, message: Mapping[str, Any], node: int) -> Any:
    from flwr.app import Message

    return Message(_content({"stage": stage, "message": message}), message_type=f"query.{RECORD}", dst_node_id=node)


def _reply(message: Any, data: Mapping[str, Any]) -> Any:
    from flwr.app import Message

    return Message(_content(data), reply_to=message)


def _content(data: Mapping[str, Any]) -> Any:
    from flwr.app import ConfigRecord, RecordDict

    return RecordDict({RECORD: ConfigRecord({"json": json.dumps(data)})})


def _read(message: Any) -> dict[str, Any]:
    """Return the data of a message; empty where it is none of ours, or an error."""
    try:
        found = json.loads(message.content[RECORD]["json"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}
