"""Fill an empty local cloud with the demo.

It is played on a stage beside what is deployed: a table, queues and a bucket made for it, on which nothing
deployed acts, so that the clock is the demo's. What has come about there is then copied to what is deployed.
"""

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore

from local import clock, cloud
from local.package import ROOT

_STATE = "/local-cloud/demo"
_STAGE = "demo-stage"
_QUEUE_URL = "_QUEUE_URL"
_ITEMS_AT_ONCE = 25
_LAYERS = ("PortalLayer", "VendorLayer", "PaymentsLayer")


def fill(deployment: cloud.Deployment) -> bool:
    """Put the demo into the deployed table and bucket, unless something is in them; whether it was put there.

    A filling that was broken off is done again from the beginning.
    """
    table = deployment.outputs["TableName"]
    if cloud.remembered(_STATE) == "copying":
        _empty(table)
    elif cloud.client("dynamodb").scan(TableName=table, Limit=1)["Items"]:
        return False
    _play_and_copy(deployment)
    return True


def _play_and_copy(deployment: cloud.Deployment) -> None:
    variables = _variables(deployment)
    with _stage(variables) as of_stage:
        _play(variables | of_stage)
        with cloud.step("Putting it into the local cloud"):
            cloud.remember(_STATE, "copying")
            _copy_files(of_stage["BUCKET_NAME"], variables["BUCKET_NAME"])
            _copy_items(of_stage["TABLE_NAME"], variables["TABLE_NAME"])
            cloud.remember(_STATE, "done")


def _variables(deployment: cloud.Deployment) -> dict[str, str]:
    """What the deployed functions are told of their surroundings."""
    function = deployment.outputs["CreateFirstOperatorName"]
    described = cloud.client("lambda").get_function_configuration(FunctionName=function)
    variables: dict[str, str] = described["Environment"]["Variables"]
    return variables


@contextmanager
def _stage(variables: dict[str, str]) -> Iterator[dict[str, str]]:
    """Make a table like the deployed one, a bucket and queues; they are deleted afterwards.

    The table has no TTL: the demo's past is over by the clock of whoever deletes what is over.
    """
    dynamodb, s3, sqs = cloud.client("dynamodb"), cloud.client("s3"), cloud.client("sqs")
    queues = [name for name in variables if name.endswith(_QUEUE_URL)]
    _strike()
    table = dynamodb.describe_table(TableName=variables["TABLE_NAME"])["Table"]
    dynamodb.create_table(
        TableName=_STAGE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=table["KeySchema"],
        AttributeDefinitions=table["AttributeDefinitions"],
        GlobalSecondaryIndexes=[
            {part: index[part] for part in ("IndexName", "KeySchema", "Projection")}
            for index in table["GlobalSecondaryIndexes"]
        ],
        StreamSpecification=table["StreamSpecification"],
    )
    s3.create_bucket(Bucket=_STAGE, CreateBucketConfiguration={"LocationConstraint": cloud.REGION})
    urls = {name: sqs.create_queue(QueueName=_queue(name))["QueueUrl"] for name in queues}
    yield {"TABLE_NAME": _STAGE, "BUCKET_NAME": _STAGE, **urls}
    _strike()


def _queue(variable: str) -> str:
    return f"{_STAGE}-{variable.removesuffix(_QUEUE_URL).replace('_', '-').lower()}"


def _strike() -> None:
    """Delete what there is of a stage."""
    dynamodb, s3, sqs = cloud.client("dynamodb"), cloud.client("s3"), cloud.client("sqs")
    if _STAGE in dynamodb.list_tables()["TableNames"]:
        dynamodb.delete_table(TableName=_STAGE)
    if _STAGE in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        for key in _files(_STAGE):
            s3.delete_object(Bucket=_STAGE, Key=key)
        s3.delete_bucket(Bucket=_STAGE)
    for url in sqs.list_queues(QueueNamePrefix=f"{_STAGE}-").get("QueueUrls", []):
        sqs.delete_queue(QueueUrl=url)


def _play(variables: dict[str, str]) -> None:
    layers = [str(cloud.APP / layer / "python") for layer in _LAYERS]
    told = {name: text for name, text in variables.items() if not name.startswith("AWS_")}
    own = {
        # The layer's botocore knows only the services that the functions use; the stage reads a stream too.
        "AWS_DATA_PATH": str(Path(botocore.__file__).parent / "data"),
        "AWS_REGION": cloud.REGION,
        "CLOCK_FILE": "",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        "POWERTOOLS_METRICS_DISABLED": "true",
        "PYTHONPATH": os.pathsep.join([str(ROOT / "functions"), *layers]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    log = cloud.LOGS / "demo.log"
    with cloud.step("Playing two years of a distributor") as tell, log.open("w") as errors:
        with subprocess.Popen(
            [sys.executable, "-m", "local.play", clock.now().isoformat()],
            cwd=ROOT,
            env=cloud.surroundings() | told | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            for month in _each_once(process.stdout or ()):
                tell(month)
        if process.returncode:
            last = log.read_text(errors="replace").splitlines()[-1:]
            raise cloud.Trouble("\n".join([f"The demo failed; its log is {log} and ends:", *last]))


def _each_once(lines: Iterable[str]) -> Iterator[str]:
    told = ""
    for line in lines:
        if line.strip() != told:
            told = line.strip()
            yield told


def _copy_items(source: str, target: str) -> None:
    """All but what is carried out already and what is over.

    Accounts come last: their sums then lie there before the stream tells of them, and nothing is added twice.
    """
    fresh = [item for item in _items(source) if item["kind"]["S"] != "outbox" and not _is_over(item)]
    requests = [{"PutRequest": {"Item": item}} for item in sorted(fresh, key=_is_account)]
    dynamodb = cloud.client("dynamodb")
    while requests:
        some, requests = requests[:_ITEMS_AT_ONCE], requests[_ITEMS_AT_ONCE:]
        requests = (
            dynamodb.batch_write_item(RequestItems={target: some})["UnprocessedItems"].get(target, [])
            + requests
        )


def _is_account(item: dict[str, Any]) -> bool:
    return bool(item["kind"]["S"] == "account")


def _is_over(item: dict[str, Any]) -> bool:
    return float(item.get("expires_at", {}).get("N", "inf")) < clock.now().timestamp()


def _items(table: str) -> Iterator[dict[str, Any]]:
    pages = cloud.client("dynamodb").get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    return (item for page in pages for item in page["Items"])


def _copy_files(source: str, target: str) -> None:
    s3 = cloud.client("s3")
    for key in _files(source):
        s3.copy_object(Bucket=target, Key=key, CopySource={"Bucket": source, "Key": key})


def _files(bucket: str) -> list[str]:
    pages = cloud.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [file["Key"] for page in pages for file in page.get("Contents", ())]


def _empty(table: str) -> None:
    dynamodb = cloud.client("dynamodb")
    for item in list(_items(table)):
        dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
