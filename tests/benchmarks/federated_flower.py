"""The same model and data as ``federated.py`` with Flower's SecAgg+, in Flower's own simulation; run in a venv of its own.

python -m venv /tmp/flower && /tmp/flower/bin/pip install 'flwr[simulation]' scikit-learn
/tmp/flower/bin/python tests/benchmarks/federated_flower.py [ROUNDS]
"""

import sys
import time

import numpy as np
from flwr.client import ClientApp, NumPyClient
from flwr.client.mod import secaggplus_mod
from flwr.common import Context, ndarrays_to_parameters
from flwr.server import Driver, LegacyContext, ServerApp, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.server.workflow import DefaultWorkflow, SecAggPlusWorkflow
from flwr.simulation import run_simulation
from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import StandardScaler

SITES = 3
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
DATA = load_breast_cancer()
INPUTS = StandardScaler().fit_transform(DATA.data)
TIMES: list[float] = []


class Site(NumPyClient):
    """FedAvg on a third of the rows: two epochs of batches of 32, as in ``federated.py``."""

    def __init__(self, number: int) -> None:
        self.x, self.y = INPUTS[number::SITES], DATA.target[number::SITES]

    def fit(self, parameters, config):
        weights = parameters[0].astype(float)
        draw = np.random.default_rng(0)
        for _ in range(2):
            order = draw.permutation(len(self.x))
            for begin in range(0, len(order), 32):
                some = order[begin : begin + 32]
                x = np.c_[self.x[some], np.ones(len(some))]
                slope = x.T @ (1 / (1 + np.exp(-x @ weights)) - self.y[some]) / len(some)
                weights = weights - 0.1 * (slope + 1e-3 * weights)
        return [weights], len(self.x), {}


def client(context: Context):
    return Site(int(context.node_config["partition-id"])).to_client()


server = ServerApp()


@server.main()
def main(driver: Driver, context: Context) -> None:
    strategy = FedAvg(
        fraction_fit=1.0, fraction_evaluate=0.0, min_fit_clients=SITES, min_available_clients=SITES,
        initial_parameters=ndarrays_to_parameters([np.zeros(31)]),
    )  # fmt: skip
    legacy = LegacyContext(context=context, config=ServerConfig(num_rounds=ROUNDS), strategy=strategy)
    secure = SecAggPlusWorkflow(num_shares=SITES, reconstruction_threshold=2, clipping_range=8.0)
    begun = time.perf_counter()
    DefaultWorkflow(fit_workflow=secure)(driver, legacy)
    TIMES.append((time.perf_counter() - begun) / ROUNDS)
    print(f"flower SecAgg+: {TIMES[-1]:.3f} s a round ({ROUNDS} rounds)", flush=True)


if __name__ == "__main__":
    run_simulation(server, ClientApp(client_fn=client, mods=[secaggplus_mod]), num_supernodes=SITES)
