"""Register a trained model, with the version of the data that it was trained on in its metadata.

python register.py --model s3://BUCKET/model.tar.gz --proof dataward.json --group customers --image IMAGE_URI
"""

import argparse
import json


def metadata(proof):
    """Return the proof as CustomerMetadataProperties: texts of at most 256 characters."""
    if proof.get("holds") is not True:
        raise SystemExit("the proof does not hold: this model is not registered")
    return {f"dataward_{name}": str(value)[:256] for name, value in proof.items() if value is not None}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("model", "proof", "group", "image"):
        parser.add_argument(f"--{name}", required=True)
    arguments = parser.parse_args()
    with open(arguments.proof, encoding="utf-8") as stream:
        properties = metadata(json.load(stream))

    import boto3

    made = boto3.client("sagemaker").create_model_package(
        ModelPackageGroupName=arguments.group,
        ModelApprovalStatus="PendingManualApproval",
        CustomerMetadataProperties=properties,
        InferenceSpecification={
            "Containers": [{"Image": arguments.image, "ModelDataUrl": arguments.model}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
    )
    print(made["ModelPackageArn"])


if __name__ == "__main__":
    main()
