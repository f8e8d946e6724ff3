"""Who may touch what, on the expanded template, as IAM would decide it: asked for every function, prefix and action.

That no function asks for more than this is seen to by the harness in every other test (`tests/support/iam.py`).
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from portal import keys
from portal.settings import QUEUES
from tests.architecture.sources import FUNCTIONS, Function, functions, template
from tests.architecture.test_template import of, referred
from tests.support import iam
from tests.support.expansion import expanded
from tests.support.iam import ACCOUNT, LEADING_KEYS, REGION, TABLE_ACTIONS, Request, Role, Statement

TABLE = iam.resolved({"Fn::GetAtt": "Table.Arn"})
BUCKET = iam.resolved({"Fn::GetAtt": "Bucket.Arn"})
KEY = iam.resolved({"Fn::GetAtt": "Key.Arn"})

READS = ("BatchGetItem", "GetItem", "Query")
WRITES = ("BatchWriteItem", "ConditionCheckItem", "DeleteItem", "PutItem", "UpdateItem")

TO_SIGN_IN = {
    "CHALLENGE#", "CLIENT#", "FEDERATED#", "LINK#", "PROVIDER#", "SESSION#", "SIGN_IN#", "THROTTLE#", "TOKEN#", "USER#",
}  # fmt: skip
"""Partitions of what users sign in with, and of who is signed in."""

ACROSS = {"ACCOUNT#", "CUSTOMER#", "EMAIL#", "PROVIDER_EVENT#", "REFERENCE#", "SEQUENCE#"}
"""Other partitions outside of the tenants'."""

ALLOWED = TABLE_ACTIONS | {
    "dynamodb:DescribeStream",
    "dynamodb:GetRecords",
    "dynamodb:GetShardIterator",
    "dynamodb:ListStreams",
    "kms:Decrypt",
    "kms:Encrypt",
    "lambda:InvokeFunction",
    "logs:CreateLogStream",
    "logs:PutLogEvents",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject",
    "s3:GetObject",
    "s3:ListBucket",
    "s3:PutObject",
    "secretsmanager:GetSecretValue",
    "ses:SendEmail",
    "ses:SendRawEmail",
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ReceiveMessage",
    "sqs:SendMessage",
}
"""All that any role may do. What is not here (Scan, PartiQL, DeleteTable, UpdateTable, ...) no role has."""


@cache
def roles() -> dict[str, Role]:
    return {name: iam.role(name) for name in of("AWS::IAM::Role")}


def role_of(name: str) -> Role:
    """The role of a function such as `accounts.remove_account`."""
    return iam.role_of(name)


def statements() -> Iterator[tuple[str, Statement]]:
    for name, role in roles().items():
        for statement in role.statements:
            yield name, statement


def table_letters(role: Role, prefix: str) -> str:
    """What a role may do with the items under a prefix: `r` for any way to read, `w` for any to write."""

    def may(action: str) -> bool:
        return role.allows(Request(f"dynamodb:{action}", TABLE, {LEADING_KEYS: [f"{prefix}1|"]}))

    return ("r" if any(map(may, READS)) else "") + ("w" if any(map(may, WRITES)) else "")


# Functions and roles


@pytest.mark.parametrize("function", functions(), ids=str)
def test_a_function_has_one_role_of_the_template(function: Function) -> None:
    deployed = of("AWS::Lambda::Function")[function.logical_id]
    assert referred(deployed["Role"]) in of("AWS::IAM::Role")
    assert role_of(function.name).name == referred(deployed["Role"])


def test_no_role_is_unused() -> None:
    used = {role_of(function.name).name for function in functions()}
    used |= {referred(schedule["Target"]["RoleArn"]) for schedule in of("AWS::Scheduler::Schedule").values()}
    assert set(roles()) == used


def test_a_role_can_be_taken_on_by_one_service_only() -> None:
    started = {
        referred(schedule["Target"]["RoleArn"]) for schedule in of("AWS::Scheduler::Schedule").values()
    }
    for name, role in of("AWS::IAM::Role").items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        service = "scheduler.amazonaws.com" if name in started else "lambda.amazonaws.com"
        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "sts:AssumeRole",
        }, name


def test_roles_name_their_actions_and_only_these() -> None:
    for name, statement in statements():
        assert statement.allows, f"{name}: what is not allowed is denied anyway"
        assert statement.actions <= ALLOWED, f"{name}: {sorted(statement.actions - ALLOWED)}"


def test_roles_name_their_resources() -> None:
    ends = {f"{BUCKET}/bills/*", f"{BUCKET}/reports/*"}
    ends.add(f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/portal/*")
    for name, statement in statements():
        for resource in statement.resources:
            assert "*" not in resource or resource in ends, (
                f"{name}: {sorted(statement.actions)} on {resource}"
            )


# The table


def test_whoever_reaches_the_table_is_bound_to_keys() -> None:
    """A condition on keys is true of a call that tells none, so there is no action that might not tell all of its."""
    for name, statement in statements():
        on_the_table = [
            each for each in statement.resources if each == TABLE or each.startswith(f"{TABLE}/index/")
        ]
        if not on_the_table:
            assert not any(
                action.startswith("dynamodb:") and action in TABLE_ACTIONS for action in statement.actions
            ), name
            continue
        assert list(statement.resources) == on_the_table, name
        assert statement.actions <= TABLE_ACTIONS, f"{name}: {sorted(statement.actions - TABLE_ACTIONS)}"
        assert statement.keys, f"{name}: {sorted(statement.actions)} on every item"
        if TABLE not in on_the_table:
            assert statement.actions == {"dynamodb:Query"}, name


def test_every_action_on_items_reads_or_writes() -> None:
    assert {f"dynamodb:{action}" for action in READS + WRITES} == TABLE_ACTIONS


KNOWN_PATTERNS = {
    "D#*",  # all distributors, and what lies below them
    "D#*|A#*",  # their accounts
    "D#*|USAGE|",  # how much of their accounts is billable
    "V|",  # the vendor
    *(f"{prefix}*" for prefix in TO_SIGN_IN | ACROSS),
}


def test_patterns_of_keys_are_whole_partitions() -> None:
    """So that none reaches into a neighbour: `S*` would be sessions, sign-ins and sequences."""
    for name, statement in statements():
        indexes = {each.rpartition("/index/")[2] for each in statement.resources if "/index/" in each}
        if indexes == {"by_due"}:
            assert all(re.fullmatch(r"[a-z_]+\|\*", each) for each in statement.keys), name
        elif indexes:
            assert set(statement.keys) <= {"D#*", "V|", "V|*"}, name
        else:
            assert set(statement.keys) <= KNOWN_PATTERNS, f"{name}: {set(statement.keys) - KNOWN_PATTERNS}"


def test_the_chart_has_no_partition_that_these_tests_do_not_know() -> None:
    charted = set(re.findall(r"^    ([A-Z_]+#)[^|\n]+\|  ", keys.__doc__ or "", re.M)) - {"D#"}
    assert charted == TO_SIGN_IN | ACROSS


# What users sign in with

REACHES = {
    "ApiKeyRole": {"CLIENT#": "rw"},
    "AuthenticatorRole": {"SESSION#": "rw", "THROTTLE#": "rw", "USER#": "rw"},
    "AuthorizerRole": {"CLIENT#": "r", "SESSION#": "r", "TOKEN#": "r"},
    "ChallengeRole": {"CHALLENGE#": "rw", "SESSION#": "w", "THROTTLE#": "rw", "TOKEN#": "w", "USER#": "rw"},
    "EntryRole": {"SESSION#": "rw", "TOKEN#": "w", "USER#": "w"},
    "ForgettingRole": {"CLIENT#": "rw", "FEDERATED#": "rw", "SESSION#": "rw", "USER#": "rw"},
    "ForgottenRole": {"SIGN_IN#": "w", "THROTTLE#": "rw"},
    "LinkRole": {"LINK#": "rw", "THROTTLE#": "rw", "USER#": "rw"},
    "MailRole": {"LINK#": "w", "THROTTLE#": "rw"},
    "PasswordExpiryRole": {"USER#": "r"},
    "PasswordHelpRole": {"LINK#": "r"},
    "PolicyRole": {"SESSION#": "r"},
    "ProviderRole": {
        "CHALLENGE#": "w",
        "FEDERATED#": "rw",
        "PROVIDER#": "rw",
        "SIGN_IN#": "w",
        "THROTTLE#": "rw",
        "USER#": "rw",
    },
    "SessionRole": {"CLIENT#": "r", "SESSION#": "rw", "THROTTLE#": "rw", "USER#": "rw"},
    "SignInRole": {
        "CHALLENGE#": "w",
        "SESSION#": "w",
        "SIGN_IN#": "w",
        "THROTTLE#": "rw",
        "TOKEN#": "w",
        "USER#": "rw",
    },
    "TokenRole": {
        "CLIENT#": "rw",
        "SESSION#": "rw",
        "SIGN_IN#": "w",
        "THROTTLE#": "rw",
        "TOKEN#": "w",
        "USER#": "rw",
    },
    "UserRole": {"THROTTLE#": "rw"},
}
"""What of it a role may read and write; what is not listed, not at all."""

BESIDE = {
    "BillingRole": {"REFERENCE#", "SEQUENCE#"},
    "EngineRole": {"ACCOUNT#"},
    "LinkRole": {"EMAIL#"},
    "OperatorBillingRole": {"ACCOUNT#", "REFERENCE#", "SEQUENCE#"},
    "OperatorRole": {"EMAIL#"},
    "PasswordHelpRole": {"EMAIL#"},
    "PayerRole": {"CUSTOMER#"},
    "PaymentRole": {"CUSTOMER#"},
    "ProviderEventRole": {"PROVIDER_EVENT#"},
    "ProviderRole": {"EMAIL#"},
    "PurgeRole": {"ACCOUNT#", "EMAIL#"},
    "ReconciliationRole": {"REFERENCE#", "SEQUENCE#"},
    "SignInRole": {"EMAIL#"},
    "TenantRole": {"ACCOUNT#", "EMAIL#"},
    "UserRole": {"EMAIL#"},
}
"""Who reaches the other partitions outside of the tenants'."""


@pytest.mark.parametrize("function", functions(), ids=str)
def test_sign_in_and_token_items_are_reached_by_identity_functions_alone(function: Function) -> None:
    role = role_of(function.name)
    reached = {prefix: letters for prefix in TO_SIGN_IN if (letters := table_letters(role, prefix))}
    assert reached == REACHES.get(role.name, {})
    if function.domain != "identity":
        assert not reached or function.name == "notifications.on_mail_wanted"
    assert {prefix for prefix in ACROSS if table_letters(role, prefix)} == BESIDE.get(role.name, set())


def test_the_mail_worker_writes_links_down_and_counts_them_and_nothing_else() -> None:
    """Partners, accounts and settings have links mailed, too, and what asks for them reaches nothing to sign in with: so
    how many go to one address is counted where they are sent.
    """
    role = role_of("notifications.on_mail_wanted")

    def may(action: str, key: str) -> bool:
        return role.allows(Request(f"dynamodb:{action}", TABLE, {LEADING_KEYS: [key]}))

    assert [action for action in READS + WRITES if may(action, "LINK#1|")] == ["PutItem"]
    assert [action for action in READS + WRITES if may(action, "THROTTLE#1|")] == ["GetItem", "UpdateItem"]


def test_who_says_who_is_calling_changes_nothing() -> None:
    actions = {action for each in role_of("identity.authorize").statements for action in each.actions}
    assert actions == {
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodb:Query",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "secretsmanager:GetSecretValue",
    }


# Indexes


def test_due_dates_of_all_tenants_are_read_by_jobs_alone() -> None:
    jobs = {"JobRole"}
    readers = {
        name for name, statement in statements() for each in statement.resources if each.endswith("/by_due")
    }
    assert readers == jobs
    assert {
        role_of(function.name).name for function in functions() if function.stem.startswith("run_")
    } == jobs


def test_jobs_read_what_is_due_and_send_and_nothing_else() -> None:
    job = roles()["JobRole"]
    assert not any(TABLE in statement.resources for statement in job.statements)
    assert {action for statement in job.statements for action in statement.actions} == {
        "dynamodb:Query",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
        "sqs:SendMessage",
    }


def test_jobs_can_read_every_kind_of_due_date_that_they_look_for() -> None:
    patterns = {each for statement in roles()["JobRole"].statements for each in statement.keys}
    looked_for = set()
    for function in functions():
        for node in ast.walk(ast.parse(function.path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "due"
            ):
                (kind,) = (each.value for each in node.args if isinstance(each, ast.Constant))
                looked_for.add(f"{kind}|*")
    assert patterns - {"V|"} == looked_for


# The stream


def test_the_stream_is_read_by_its_consumers_alone() -> None:
    stream = iam.resolved({"Fn::GetAtt": "Table.StreamArn"})
    mappings = of("AWS::Lambda::EventSourceMapping").values()
    fed = {referred(each["FunctionName"]) for each in mappings if "StartingPosition" in each}
    for action in ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"):
        request = Request(f"dynamodb:{action}", stream)
        assert {each.logical_id for each in functions() if role_of(each.name).allows(request)} == fed, action


# Queues


@cache
def consumers() -> dict[str, str]:
    """Which function is fed from which queue, by logical ids."""
    return {
        referred(mapping["EventSourceArn"]): referred(mapping["FunctionName"])
        for mapping in of("AWS::Lambda::EventSourceMapping").values()
        if "StartingPosition" not in mapping
    }


@pytest.mark.parametrize("queue", sorted(of("AWS::SQS::Queue")))
def test_a_queue_is_received_from_by_its_own_consumer_alone(queue: str) -> None:
    arn = iam.resolved({"Fn::GetAtt": f"{queue}.Arn"})
    receiving = {
        function.logical_id
        for function in functions()
        for action in ("ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes")
        if role_of(function.name).allows(Request(f"sqs:{action}", arn))
    }
    assert receiving == ({consumers()[queue]} if queue in consumers() else set())


def test_a_consumer_may_do_all_that_its_queue_needs() -> None:
    by_id = {function.logical_id: function for function in functions()}
    for queue, consumer in consumers().items():
        arn = iam.resolved({"Fn::GetAtt": f"{queue}.Arn"})
        for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
            assert role_of(by_id[consumer].name).allows(Request(f"sqs:{action}", arn)), (
                f"{consumer}: {action}"
            )


def sends(role: Role) -> set[str]:
    return {
        queue
        for queue in of("AWS::SQS::Queue")
        if role.allows(Request("sqs:SendMessage", iam.resolved({"Fn::GetAtt": f"{queue}.Arn"})))
    }


@pytest.mark.parametrize("function", functions(), ids=str)
def test_a_function_sends_only_where_its_work_goes_on(function: Function) -> None:
    """A worker to its own queue, where it says that it begins again; jobs and the outbox to those that are fed by them."""
    role = role_of(function.name)
    if role.name == "JobRole":
        sent = {
            queue for each in functions() if each.stem.startswith("run_") for queue in named_queues(each.path)
        }
        assert sends(role) == sent | {"ScheduleFailures"}
    elif role.name == "OutboxRole":
        assert sends(role) == queues_of_messages() | {"StreamFailures"}
    elif role.name == "RollupStreamRole":
        assert sends(role) == {"StreamFailures"}
    elif function.stem.startswith("on_"):
        assert sends(role) == named_queues(function.path)
    else:
        assert sends(role) == set()


def named_queues(path: Path) -> set[str]:
    """The queues that a function names in calls of `again` and `send`."""
    return {
        each.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("again", "send")
        for each in node.args
        if isinstance(each, ast.Constant) and each.value in QUEUES
    }


@cache
def queues_of_messages() -> set[str]:
    """The queues of all messages that are written into the outbox."""
    found: set[str] = set()
    for path in [*(FUNCTIONS.parent / "layers/portal/portal").rglob("*.py"), *FUNCTIONS.rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in ("Message", "waiting")
            ):
                found |= {
                    each.value
                    for each in node.args
                    if isinstance(each, ast.Constant) and each.value in QUEUES
                }
            if isinstance(node, ast.Assign) and any(
                isinstance(target, ast.Name) and target.id.lower() == "queue" for target in node.targets
            ):
                found |= {node.value.value} if isinstance(node.value, ast.Constant) else set()
    return found


# Keys and secrets

SEALING = {
    "identity.answer_challenge": {"Decrypt", "Encrypt"},
    "identity.begin_totp": {"Decrypt", "Encrypt"},
    "identity.confirm_totp": {"Decrypt", "Encrypt"},
    "identity.remove_totp": {"Decrypt", "Encrypt"},
    "identity.sign_in": {"Encrypt"},
}
"""Who may use the key, each for the secrets of authenticator apps only."""


@pytest.mark.parametrize("function", functions(), ids=str)
def test_secrets_are_opened_by_those_who_need_to_and_only_with_their_tenant(function: Function) -> None:
    role = role_of(function.name)

    def may(action: str, **context: str) -> bool:
        told = {f"kms:EncryptionContext:{name}": [value] for name, value in context.items()}
        return role.allows(
            Request(f"kms:{action}", KEY, {"kms:EncryptionContextKeys": list(context), **told})
        )

    whole = {"tenant": "dst_1", "user": "usr_1", "purpose": "totp"}
    assert {action for action in ("Decrypt", "Encrypt") if may(action, **whole)} == SEALING.get(
        function.name, set()
    )
    for action in ("Decrypt", "Encrypt"):
        for missing in whole:
            assert not may(action, **{name: value for name, value in whole.items() if name != missing})
        assert not may(action, **(whole | {"purpose": "splunk"}))
        assert not may(action, **whole, more="x")
        assert not may(action)


def test_a_secret_is_read_by_those_who_need_it() -> None:
    readers: dict[str, set[str]] = {}
    for function in functions():
        for name, resource in expanded().items():
            if resource["Type"] == "AWS::SecretsManager::Secret":
                arn = iam.resolved({"Ref": name})
                if role_of(function.name).allows(Request("secretsmanager:GetSecretValue", arn)):
                    readers.setdefault(name, set()).add(function.name)
    assert readers.pop("EngineSecret") == {"identity.authorize"}
    providers = {"identity.start_provider_sign_in", "identity.finish_provider_sign_in"}
    assert (readers.pop("GoogleSecret"), readers.pop("MicrosoftSecret")) == (providers, providers)
    assert readers.pop("PaymentSecret") == {
        "billing.on_reconciliation_due",
        "payments.add_card",
        "payments.on_payment_due",
        "payments.open_payment_page",
        "payments.take_provider_event",
    }
    assert set(readers) == {"CursorSecret"}


# Files

FILES: dict[str, dict[str, str]] = {
    "AuditExportRole": {"reports": "Abort Delete Get Put"},
    "AuditRole": {"reports": "Get"},
    "BillFileRole": {"bills": "Get Put"},
    "DocumentRole": {"bills": "Get Put"},
    "MailRole": {"bills": "Get", "reports": "Get"},
    "PurgeRole": {"reports": "Delete"},
    "ReportFileRole": {"reports": "Get"},
    "ReportRole": {"reports": "Abort Delete Get Put"},
}
_FILE_ACTIONS = {
    "Abort": "s3:AbortMultipartUpload",
    "Delete": "s3:DeleteObject",
    "Get": "s3:GetObject",
    "Put": "s3:PutObject",
}


@pytest.mark.parametrize("name", sorted(of("AWS::IAM::Role")))
def test_a_role_reaches_its_own_folders_of_the_bucket(name: str) -> None:
    reached: dict[str, str] = {}
    for folder in ("accounts", "bills", "reports", "billsandmore", "anything"):
        may = [
            short
            for short, action in _FILE_ACTIONS.items()
            if roles()[name].allows(Request(action, f"{BUCKET}/{folder}/dst_1/1.pdf"))
        ]
        reached |= {folder: " ".join(may)} if may else {}
    assert reached == FILES.get(name, {})
    if not reached:
        assert not roles()[name].allows(Request("s3:ListBucket", BUCKET, {"s3:prefix": ["reports/"]}))


def test_who_deletes_folders_lists_only_those() -> None:
    purge = roles()["PurgeRole"]
    assert purge.allows(Request("s3:ListBucket", BUCKET, {"s3:prefix": ["reports/dst_1/prt_2/acc_3/"]}))
    assert not purge.allows(Request("s3:ListBucket", BUCKET, {"s3:prefix": ["bills/dst_1/"]}))
    assert not purge.allows(Request("s3:ListBucket", BUCKET))


# Who starts functions


def test_api_gateway_starts_a_function_only_for_a_route_of_this_api() -> None:
    started = set()
    for name, permission in of("AWS::Lambda::Permission").items():
        assert permission["Action"] == "lambda:InvokeFunction", name
        assert permission["Principal"] == "apigateway.amazonaws.com", name
        text, variables = permission["SourceArn"]["Fn::Sub"]
        assert variables["__ApiId__"] == {"Ref": "Api"}, name
        assert text.startswith("arn:aws:execute-api:${AWS::Region}:${AWS::AccountId}:${__ApiId__}/"), name
        started.add(referred(permission["FunctionName"]))
    by_route = {function.logical_id for function in functions() if function.is_operation}
    assert started == by_route | {"Authorize"}


def test_the_scheduler_starts_jobs_and_nothing_else() -> None:
    scheduler = roles()["SchedulerRole"]
    for function in functions():
        arn = iam.resolved({"Fn::GetAtt": f"{function.logical_id}.Arn"})
        is_job = function.stem.startswith("run_")
        assert scheduler.allows(Request("lambda:InvokeFunction", arn)) is is_job, function
    assert sends(scheduler) == {"ScheduleFailures"}


def test_every_function_can_log_and_trace() -> None:
    for function in functions():
        stream = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:/portal/{function.domain}:log-stream:1"
        assert role_of(function.name).allows(Request("logs:PutLogEvents", stream)), function
        groups = of("AWS::Lambda::Function")[function.logical_id]["LoggingConfig"]["LogGroup"]
        assert template()["Resources"][referred(groups)]["Properties"]["LogGroupName"], function
