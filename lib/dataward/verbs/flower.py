"""The apps of a Flower project: ``dataward.verbs.flower:server`` and ``dataward.verbs.flower:client`` (docs/federated.md).

The server app's run configuration names ``plan`` and ``key`` (paths); a node's configuration is described at
:func:`dataward.federated.flower.relayed`.
"""

from __future__ import annotations

import sys
from typing import Any

from dataward.errors import UsageError
from dataward.federated.flower import RECORD, Flower, relayed
from dataward.federated.plan import read_plan
from dataward.verbs.train import train

try:
    from flwr.app import Context
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
except ImportError:
    raise UsageError(
        "the Flower apps need Flower: pip install 'dataward[flower]' in an environment of its own"
    ) from None

__all__ = ["client", "server"]


def _train(grid: Grid, context: Context) -> None:
    """Run the plan of the run's configuration over the grid's nodes."""
    settings = context.run_config
    if missing := [name for name in ("plan", "key") if name not in settings]:
        raise UsageError(
            f'the run\'s configuration lacks {", ".join(missing)}: flwr run . --run-config \'plan="PLAN.yaml" key="FILE"\''
        )
    path, key = str(settings["plan"]), str(settings["key"])
    plan = read_plan(path)
    carry = Flower(grid, [site.name for site in plan.sites], plan.timeout)
    done = train(path, key, _say, carry)
    _say(f"trained {done.path}/model.json; card: {done.path}/card.html")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _pass_on(message: Any, context: Context) -> Any:
    """Pass a message on to the node's site."""
    return relayed(message, context.node_config)


server = ServerApp()
server.main()(_train)
client = ClientApp()
client.query(RECORD)(_pass_on)
