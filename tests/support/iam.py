"""What a function may ask of AWS, decided as IAM decides it, from the role that the expanded template gives it.

`acting_as` makes the calls of a block those of a function: the harness then refuses what the function's role does not
allow. What the tests do outside of functions is nobody's and stays free.

`!Ref` and `!GetAtt` are resolved to what the tests use: the template hands every name to the functions in a variable
of the environment, and the tests set the same variables.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .actions import OPERATIONS
from .expansion import expanded, template
from .faults import Call

REGION, ACCOUNT = "eu-central-1", "123456789012"

TABLE_ACTIONS = frozenset(
    f"dynamodb:{name}"
    for name in (
        "BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem",
    )
)  # fmt: skip
"""The actions that always tell their keys: to any other, a condition on the keys is true of itself."""

LEADING_KEYS = "dynamodb:LeadingKeys"


@dataclass(frozen=True, slots=True)
class Request:
    """One question to IAM. A call may ask several, e.g. a transaction that puts and deletes."""

    action: str
    resource: str
    context: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        of = "".join(f", {name} {list(values)}" for name, values in self.context.items())
        return f"{self.action} on {self.resource}{of}"


class NotJudged(Exception):
    """A policy or a call that this module does not know how to judge: teach it, it never guesses."""


# Policies

Condition = Callable[[Mapping[str, Sequence[str]]], bool]


@dataclass(frozen=True)
class Statement:
    allows: bool
    actions: frozenset[str]
    resources: tuple[str, ...]
    """As spelled, with wildcards."""
    conditions: Mapping[str, Mapping[str, Sequence[str]]]
    _resource: re.Pattern[str]
    _conditions: tuple[Condition, ...]

    @classmethod
    def parse(cls, source: Mapping[str, Any]) -> "Statement":
        if unknown := set(source) - {"Sid", "Effect", "Action", "Resource", "Condition"}:
            raise NotJudged(f"a statement with {sorted(unknown)}")
        resources = tuple(resolved(each) for each in listed(source["Resource"]))
        conditions = {
            operator: {name: [resolved(each) for each in listed(value)] for name, value in tests.items()}
            for operator, tests in source.get("Condition", {}).items()
        }
        return cls(
            allows={"Allow": True, "Deny": False}[source["Effect"]],
            actions=frozenset(listed(source["Action"])),
            resources=resources,
            conditions=conditions,
            _resource=_pattern(resources),
            _conditions=tuple(
                _condition(operator, name, values)
                for operator, tests in conditions.items()
                for name, values in tests.items()
            ),
        )

    def applies_to(self, request: Request) -> bool:
        return (
            request.action in self.actions
            and self._resource.fullmatch(request.resource) is not None
            and all(condition(request.context) for condition in self._conditions)
        )

    @property
    def keys(self) -> Sequence[str]:
        """The patterns of partition keys that it is bound to; none where it is bound to none."""
        return [
            each
            for operator, tests in self.conditions.items()
            if operator.startswith("ForAllValues:")
            for each in tests.get(LEADING_KEYS, ())
        ]


@dataclass(frozen=True)
class Role:
    name: str
    statements: tuple[Statement, ...]

    def allows(self, request: Request) -> bool:
        """Whether some statement allows it and none denies it."""
        applying = [statement.allows for statement in self.statements if statement.applies_to(request)]
        return bool(applying) and all(applying)


def _pattern(globs: Sequence[str]) -> re.Pattern[str]:
    """IAM's wildcards: `*` for anything, `?` for one character, everything else for itself."""
    return re.compile(
        "|".join(re.escape(each).replace(r"\*", ".*").replace(r"\?", ".") for each in globs), re.S
    )


def _condition(operator: str, name: str, values: Sequence[str]) -> Condition:
    quantifier, _, kind = operator.rpartition(":")
    if kind == "Null" and not quantifier and len(values) == 1:
        absent = values[0] == "true"
        return lambda context: (not context.get(name)) is absent
    if kind not in ("StringEquals", "StringLike") or quantifier not in ("", "ForAllValues"):
        raise NotJudged(f"the condition operator {operator}")
    fits = _pattern(values).fullmatch if kind == "StringLike" else frozenset(values).__contains__

    def all_fit(context: Mapping[str, Sequence[str]]) -> bool:
        # Of no values at all this is true, as in IAM.
        return all(fits(value) for value in context.get(name, ()))

    def the_one_fits(context: Mapping[str, Sequence[str]]) -> bool:
        given = context.get(name, ())
        return len(given) == 1 and bool(fits(given[0]))

    return all_fit if quantifier else the_one_fits


# The template


@cache
def role_of(function: str) -> Role:
    """The role of a function by its name in `functions/`, e.g. `accounts.remove_account`.

    Raises:
        NotJudged: the template has no such function.
    """
    for resource in expanded().values():
        if resource["Type"] == "AWS::Lambda::Function":
            properties = resource["Properties"]
            if properties["Handler"] == f"{function}.handler":
                return role(_logical_id(properties["Role"]))
    raise NotJudged(f"template.yaml has no function with the handler {function}.handler")


@cache
def role(name: str) -> Role:
    """A role by its logical id."""
    policies = expanded()[name]["Properties"].get("Policies", [])
    documents = (policy["PolicyDocument"] for policy in policies)
    return Role(
        name, tuple(Statement.parse(each) for document in documents for each in document["Statement"])
    )


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def resolved(value: Any) -> str:
    """A text of the template as it is in the tests' AWS."""
    if not isinstance(value, dict):
        return str(value)
    ((function, what),) = value.items()
    if function == "Ref":
        return _ref(what)
    if function == "Fn::GetAtt":
        return _attribute(*(what if isinstance(what, list) else what.split(".", 1)))
    if function == "Fn::Sub":
        text, variables = what if isinstance(what, list) else (what, {})
        return re.sub(r"\$\{([^!}]+)\}", lambda found: _named(found[1], variables), text)
    raise NotJudged(f"the intrinsic function {function}")


def _named(name: str, variables: Mapping[str, Any]) -> str:
    if name in variables:
        return resolved(variables[name])
    return _attribute(*name.split(".", 1)) if "." in name else _ref(name)


_PSEUDO_PARAMETERS = {
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "portal",
    "AWS::URLSuffix": "amazonaws.com",
}


def _ref(name: str) -> str:
    if name in _PSEUDO_PARAMETERS:
        return _PSEUDO_PARAMETERS[name]
    if name in template()["Parameters"]:
        return str(template()["Parameters"][name]["Default"])
    return _names().get(name, name)


@cache
def _names() -> dict[str, str]:
    """The names of all resources that the functions are told about, from the tests' own environment."""
    variables = template()["Globals"]["Function"]["Environment"]["Variables"]
    return {
        _logical_id(value): os.environ[name]
        for name, value in variables.items()
        if isinstance(value, dict) and set(value) <= {"Ref", "Fn::GetAtt"} and name in os.environ
    }


_ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:{region}:{account}:table/{name}",
    "AWS::S3::Bucket": "arn:aws:s3:::{name}",
    "AWS::SQS::Queue": "arn:aws:sqs:{region}:{account}:{name}",
    "AWS::KMS::Key": "arn:aws:kms:{region}:{account}:key/{name}",
    "AWS::Lambda::Function": "arn:aws:lambda:{region}:{account}:function:portal-{name}",
}


def _attribute(name: str, attribute: str) -> str:
    arn = arn_of(expanded()[name]["Type"], _ref(name))
    if attribute == "Arn":
        return arn
    if attribute == "StreamArn":
        return f"{arn}/stream/2023-01-01T00:00:00.000"
    raise NotJudged(f"the attribute {name}.{attribute}")


def arn_of(kind: str, name: str) -> str:
    """The ARN of a thing by its name; of a queue also by its address."""
    if name.startswith("arn:"):
        return name
    if kind not in _ARNS:
        raise NotJudged(f"the ARN of {kind}")
    return _ARNS[kind].format(region=REGION, account=ACCOUNT, name=name.rpartition("/")[2])


def _logical_id(value: Any) -> str:
    """The `X` in `!Ref X` and `!GetAtt X.Arn`."""
    ((_, what),) = value.items()
    return str(what[0] if isinstance(what, list) else what.partition(".")[0])


# Calls


def requests_of(call: Call) -> Iterator[Request]:
    """What IAM is asked when this call is made.

    Raises:
        NotJudged: nobody has said here what such a call needs.
    """
    parameters = call.parameters
    match call.service, call.operation:
        case "dynamodb", _:
            yield from _of_the_table(call)
        case "s3", "GetObject" | "HeadObject":
            yield _file("GetObject", parameters)
        case "s3", "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload":
            yield _file("PutObject", parameters)
        case "s3", "DeleteObject" | "AbortMultipartUpload":
            yield _file(call.operation, parameters)
        case "s3", "DeleteObjects":
            for each in parameters["Delete"]["Objects"]:
                yield _file("DeleteObject", {"Bucket": parameters["Bucket"], "Key": each["Key"]})
        case "s3", "ListObjectsV2":
            bucket = arn_of("AWS::S3::Bucket", parameters["Bucket"])
            yield Request("s3:ListBucket", bucket, {"s3:prefix": [parameters.get("Prefix", "")]})
        case "sqs", "SendMessage" | "SendMessageBatch":
            yield Request("sqs:SendMessage", arn_of("AWS::SQS::Queue", parameters["QueueUrl"]))
        case "secretsmanager", "GetSecretValue":
            yield Request("secretsmanager:GetSecretValue", parameters["SecretId"])
        case "sesv2", "SendEmail":
            # For a mail that is given raw, SES asks for the older API's permission as well.
            yield Request("ses:SendEmail", _sender(parameters["FromEmailAddress"]))
            if "Raw" in parameters["Content"]:
                yield Request("ses:SendRawEmail", _sender(parameters["FromEmailAddress"]))
        case "kms", "Encrypt" | "Decrypt" | "GenerateDataKey":
            context = parameters.get("EncryptionContext", {})
            # What is to be decrypted names its key itself; there is but one.
            key = parameters.get("KeyId") or _ref("Key")
            yield Request(
                f"kms:{call.operation}",
                arn_of("AWS::KMS::Key", key),
                {
                    "kms:EncryptionContextKeys": list(context),
                    **{f"kms:EncryptionContext:{name}": [value] for name, value in context.items()},
                },
            )
        case _:
            raise NotJudged(f"{call.name}: no function calls that yet; say in {__name__} what it needs")


def request_after_not_found(call: Call) -> Request | None:
    """S3 says that there is no such file only to those who may list the bucket, to others that it is forbidden."""
    if call.service == "s3" and call.operation in ("GetObject", "HeadObject"):
        return Request("s3:ListBucket", arn_of("AWS::S3::Bucket", call.parameters["Bucket"]))
    return None


def _file(action: str, parameters: Mapping[str, Any]) -> Request:
    return Request(f"s3:{action}", f"{arn_of('AWS::S3::Bucket', parameters['Bucket'])}/{parameters['Key']}")


def _sender(address: str) -> str:
    identity = template()["Parameters"]["MailIdentity"]["Default"]
    covered = address.rpartition("@")[2] == identity
    return f"arn:aws:ses:{REGION}:{ACCOUNT}:identity/{identity if covered else address}"


_ITEM_ACTIONS = {
    "get": "GetItem",
    "query": "Query",
    "put": "PutItem",
    "update": "UpdateItem",
    "delete": "DeleteItem",
    "check": "ConditionCheckItem",
}


def _of_the_table(call: Call) -> Iterator[Request]:
    """A batch is asked for as such, once, with all of its keys; a transaction by what it does to items.

    All the keys of one action are asked for together. Should DynamoDB ask item by item, it allows no less.
    """
    if call.operation not in OPERATIONS:
        raise NotJudged(f"{call.name} tells no keys: no function may use it")
    table = arn_of("AWS::DynamoDB::Table", call.actions[0].table)
    touched = [key for key in call.keys if key.access == "read" or not key.index]
    asked: dict[str, list[str]] = {}
    for action, key in zip(call.actions, touched, strict=True):
        name = call.operation if call.operation.startswith("Batch") else _ITEM_ACTIONS[action.kind]
        asked.setdefault(name, []).append(key.pk)
    index = touched[0].index
    for name, leading_keys in asked.items():
        yield Request(
            f"dynamodb:{name}", f"{table}/index/{index}" if index else table, {LEADING_KEYS: leading_keys}
        )


# Who is acting

_acting: ContextVar[tuple[str, Role] | None] = ContextVar("acting", default=None)


@contextmanager
def acting_as(function: str) -> Iterator[None]:
    """Let the calls of the block be this function's."""
    token = _acting.set((function, role_of(function)))
    try:
        yield
    finally:
        _acting.reset(token)


def objection(call: Call) -> str | None:
    """Why the acting function may not make this call; None where it may, and where no function acts."""
    if (acting := _acting.get()) is None:
        return None
    function, role = acting
    return _refused(function, role, requests_of(call))


def objection_to_telling(call: Call) -> str | None:
    """Why the acting function would not have been told that there is no such file."""
    request = request_after_not_found(call)
    if (acting := _acting.get()) is None or request is None:
        return None
    function, role = acting
    return _refused(function, role, [request])


def _refused(function: str, role: Role, requests: Iterable[Request]) -> str | None:
    try:
        refused = next((request for request in requests if not role.allows(request)), None)
    except NotJudged as error:
        return f"{function}: {error}"
    return refused and f"{function} may not ask for {refused}: {role.name} does not allow it"
