"""The plan of a federated training, which every site accepts by its digest, and the file of a site's permissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dataward.contract import Document, Location
from dataward.contract.base import Model, Name
from dataward.contract.load import read_model
from dataward.errors import ContractError, Problem
from dataward.federated.certificates import public_key
from dataward.federated.encode import sha256

__all__ = [
    "Agreed",
    "Evaluation",
    "Feature",
    "ModelPlan",
    "Privacy",
    "SiteEntry",
    "SiteFile",
    "Training",
    "TrainingPlan",
    "more_than_half",
    "read_plan",
    "read_site",
    "unreadable_keys",
]

Category = str | int | bool


class Feature(Model):
    """A column that the model reads: a number, or a listed category."""

    name: str = Field(min_length=1)
    bounds: tuple[float, float] | None = Field(
        default=None, description="public smallest and largest value; values outside count as the nearest of them"
    )
    categories: tuple[Category, ...] = Field(default=(), max_length=1000, description="one input for each")

    @model_validator(mode="after")
    def _one_kind(self) -> Feature:
        if self.bounds is not None and (self.categories or not self.bounds[0] < self.bounds[1]):
            raise ValueError("'bounds' are [smallest, largest] of a number; categories have none")
        if len(set(map(str, self.categories))) < len(self.categories):
            raise ValueError("'categories' repeats a value")
        return self

    @property
    def width(self) -> int:
        """Number of inputs of the model."""
        return len(self.categories) or 1


class Training(Model):
    """Method that combines the sites' contributions into one model."""

    algorithm: Literal["gradient", "fedavg", "fedprox"] = Field(
        default="gradient",
        description="gradient: one step by the gradient over all rows, equal to central training whatever the skew; fedavg: "
        "epochs at each site, averaged by rows; fedprox: the same, pulled towards the common model",
    )
    epochs: int = Field(default=2, ge=1, le=100, description="fedavg and fedprox: passes over a site's rows per round")
    batch: int = Field(default=32, ge=1, description="fedavg and fedprox: rows per step")
    rate: float | None = Field(default=None, gt=0, description="learning rate; default: by algorithm and model")
    momentum: float = Field(default=0.9, ge=0, lt=1)
    proximal: float = Field(default=0.1, ge=0, description="fedprox: weight of the pull")
    l2: float = Field(default=1e-3, ge=0, description="weight of the squared parameters")
    holdout: float = Field(default=0.2, ge=0, le=0.9, description="share of units that only evaluate")
    patience: int | None = Field(
        default=None, ge=1, description="stop after this number of rounds without a better loss on the holdout"
    )
    seed: int = Field(default=0, ge=0, lt=2**32)
    missing: Literal["refuse", "mean"] = Field(default="refuse", description="what a null number becomes")


class ModelPlan(Model):
    """Model, features and label."""

    type: Literal["linear", "logistic", "softmax", "mlp", "boosted", "custom"]
    features: tuple[Feature, ...] = Field(min_length=1, max_length=10_000)
    label: str = Field(min_length=1)
    classes: tuple[Category, ...] = Field(default=(), max_length=1000, description="values of the label, in order")
    label_bounds: tuple[float, float] | None = Field(default=None, description="of a number to predict")
    hidden: tuple[int, ...] = Field(default=(32,), max_length=4, description="mlp: units of each hidden layer")
    depth: int = Field(default=3, ge=1, le=6, description="boosted: levels of a tree")
    bins: int = Field(default=32, ge=2, le=256, description="boosted: bins of a feature")
    size: int | None = Field(default=None, ge=1, le=10_000_000, description="custom: number of parameters")

    @model_validator(mode="before")
    @classmethod
    def _short_features(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(features := data.get("features"), list | tuple):
            return {**data, "features": [{"name": one} if isinstance(one, str) else one for one in features]}
        return data

    @model_validator(mode="after")
    def _fits_type(self) -> ModelPlan:
        names = [feature.name for feature in self.features]
        if len(set(names)) < len(names):
            raise ValueError("'features' names a column twice")
        if self.label in names:
            raise ValueError("'label' is the column to predict, and no feature")
        if self.type in ("softmax", "boosted", "mlp") and len(self.classes) == 1:
            raise ValueError("'classes' needs two values or more")
        if self.type == "softmax" and not self.classes:
            raise ValueError("softmax needs 'classes': the values of the label")
        if self.type == "logistic" and len(self.classes) not in (0, 2):
            raise ValueError("logistic takes two 'classes' (default: [0, 1]); softmax takes more")
        if self.type == "custom" and self.size is None:
            raise ValueError("custom needs 'size': the number of parameters that the sites' fit returns")
        return self

    @property
    def labels(self) -> tuple[Category, ...]:
        """Classes to predict; empty where a number is predicted."""
        return (0, 1) if self.type == "logistic" and not self.classes else self.classes

    @property
    def inputs(self) -> int:
        """Number of inputs of the model."""
        return sum(feature.width for feature in self.features)

    @property
    def outputs(self) -> int:
        """Number of outputs: 1 for a number or two classes, else one per class."""
        return len(self.labels) if len(self.labels) > 2 or (self.type == "softmax") else 1


class SiteEntry(Model):
    """A site, its address, and its public key (a self-signed PEM certificate)."""

    name: Name
    url: str = Field(pattern=r"^https://[A-Za-z0-9._\-\[\]:]+(:[0-9]{1,5})?/?$")
    public_key: str = Field(min_length=1)
    version: int | None = Field(default=None, ge=0, description="version of the site's table; default: as it serves")


class Privacy(Model):
    """Differential privacy of all contributions of the sites."""

    epsilon: float = Field(gt=0, le=100)
    delta: float = Field(gt=0, le=0.01)
    unit: str | None = Field(default=None, min_length=1, description="column that names a person; default: each row")
    colluding_sites: int = Field(default=0, ge=0, description="sites that may pool what they know with the coordinator")
    sites_per_unit: int = Field(default=1, ge=1, description="number of sites at which one person may be")
    clip: float = Field(default=1.0, gt=0, le=1e6, description="largest norm of a person's contribution")
    retries: int = Field(default=2, ge=0, le=1000, description="interrupted rounds that are paid for in advance")


class Evaluation(Model):
    """Measurements after training besides the accuracy."""

    by: tuple[Feature, ...] = Field(default=(), max_length=20, description="groups, with their categories")
    attributes: tuple[str, ...] = Field(
        default=(), max_length=20, description="features with categories that an attacker would infer"
    )

    @model_validator(mode="after")
    def _listed(self) -> Evaluation:
        if any(not group.categories for group in self.by):
            raise ValueError("'by' needs the 'categories' of each group")
        return self


class Output(Model):
    """Locations of the model, its card and the coordinator's state, and the ledger of the statement."""

    path: str = Field(min_length=1)
    ledger: Location | None = None


class Agreed(Model):
    """A plan that every site accepts by its digest."""

    sites: tuple[SiteEntry, ...]

    def digest(self, keys: Mapping[str, str]) -> str:
        """Return the SHA-256 (hex) of everything in the plan except addresses and output, to which a site agrees.

        Args:
            keys: the sites' Ed25519 public keys (hex) by name.
        """
        said = self.model_dump(mode="json", exclude={"output": True, "timeout": True, "sites": {"__all__": {"url"}}})
        said["sites"] = [{**site, "public_key": keys[site["name"]]} for site in said["sites"]]
        return sha256(said)

    def public_keys(self) -> dict[str, bytes]:
        """Read the sites' certificates (PEM), in the order of the plan."""
        return {site.name: Path(site.public_key).read_bytes() for site in self.sites}


class TrainingPlan(Agreed):
    """One federated training."""

    plan: Name
    model: ModelPlan
    sites: tuple[SiteEntry, ...] = Field(min_length=2, max_length=1000)
    rounds: int = Field(ge=1, le=10_000)
    minimum_sites: int = Field(ge=2)
    training: Training = Training()
    privacy: Privacy | None = None
    evaluation: Evaluation = Evaluation()
    timeout: float = Field(default=60, gt=0, le=86_400, description="seconds that a site may take for one answer")
    output: Output

    @model_validator(mode="after")
    def _holds_together(self) -> TrainingPlan:
        more_than_half(self.sites, self.minimum_sites)
        if self.privacy:
            self._can_be_private(self.privacy)
        known = {feature.name: feature for feature in self.model.features}
        if any(name not in known or not known[name].categories for name in self.evaluation.attributes):
            raise ValueError("'attributes' names features that have 'categories'")
        if self.evaluation.attributes and not self.model.labels:
            raise ValueError("'attributes' needs a label with classes")
        return self

    def _can_be_private(self, privacy: Privacy) -> None:
        if privacy.colluding_sites >= self.minimum_sites - 1:
            raise ValueError("'colluding_sites' leaves fewer than two honest sites of 'minimum_sites'")
        if self.model.type == "custom" or (self.training.algorithm != "gradient" and self.model.type != "boosted"):
            raise ValueError(
                "'privacy' needs algorithm gradient: what epochs at a site come to has no bound per person"
            )
        if any(feature.bounds is None and not feature.categories for feature in self.model.features):
            raise ValueError("'privacy' needs public 'bounds' or 'categories' of every feature")
        if not self.model.labels and self.model.label_bounds is None:
            raise ValueError("'privacy' needs 'label_bounds', or 'classes' of the label")


class Listen(Model):
    """Address at which a site listens."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65_535)


class SiteFile(Model):
    """Data and permissions of a site (``dataward site serve SITE.yaml``)."""

    site: Name
    key: str = Field(min_length=1, description="the site's private key (PEM, mode 0600)")
    coordinator: str | None = Field(
        default=None,
        min_length=1,
        description="the coordinator's public key (PEM certificate), for trainings and surveys",
    )
    listen: Listen
    contract: str = Field(min_length=1, description="contract whose sealed target is the site's data")
    version: int | None = Field(default=None, ge=0, description="version of the target; default: the newest sealed one")
    plans: tuple[str, ...] = Field(min_length=1, description="files of the plans that the site accepts")
    state: str = Field(min_length=1, description="folder for what the site must remember between starts")
    budget: Location | None = Field(default=None, description="budget that private plans are charged to")
    dataset: str | None = Field(default=None, description="name of the data in the budget; default: the contract's")
    runs: int = Field(default=1, ge=1, description="runs of one plan that the site takes part in")
    fit: dict[str, Annotated[str, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]] = Field(
        default_factory=dict, description="plan: module:function that fits a custom model"
    )


def more_than_half(sites: Sequence[SiteEntry], minimum: int) -> None:
    """Refuse a plan that allows sums of two disjoint groups of sites, or that names a site twice.

    Raises:
        ValueError: with the reason.
    """
    names = [site.name for site in sites]
    if len(set(names)) < len(names):
        raise ValueError("'sites' has a name twice")
    if not len(names) // 2 < minimum <= len(names):
        raise ValueError(
            "'minimum_sites' is more than half of the sites and at most all: else two sums could be distinguished"
        )


def read_plan(path: str | Path) -> TrainingPlan:
    """Read a plan.

    Raises:
        ContractError: the file has mistakes (the error lists all of them), or a key cannot be read.
    """
    plan = read_model(path, TrainingPlan)
    unreadable_keys(path, plan.sites)
    return plan


def unreadable_keys(path: str | Path, sites: Sequence[SiteEntry]) -> None:
    """Refuse a plan with a public key that cannot be read.

    Raises:
        ContractError: keys cannot be read; the message names them.
    """
    document = Document.read(path)
    problems = [
        Problem(document.file, document.line_of(("sites", number, "public_key")), f"sites.{number}.public_key", trouble,
                "give the file NAME.pub that 'dataward site init' wrote at the site")
        for number, site in enumerate(sites)
        if (trouble := _unreadable(Path(site.public_key)))
    ]  # fmt: skip
    if problems:
        raise ContractError(problems)


def read_site(path: str | Path) -> SiteFile:
    """Read a site's file; raises ContractError with all mistakes."""
    return read_model(path, SiteFile)


def _unreadable(path: Path) -> str:
    try:
        public_key(path.read_bytes())
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    except ValueError:
        return f"{path} is no certificate with an Ed25519 key"
    return ""
