"""API authorizer (REQUEST), asked before every operation; nothing it finds is cached

Says who is calling, in one batched consistent read. It allows every request: an operation itself answers 401
or 403, as problem+json, when the caller it is told of may not use it.
"""

from collections.abc import Mapping
from typing import Any

from portal import clock
from portal.identity.actions import identify
from portal.proxy_events import is_request
from portal.telemetry import logger, metrics, tracer


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    request = event if is_request(event) else {"headers": {"authorization": "nothing that can be read"}}
    headers = {name.lower(): value for name, value in (request.get("headers") or {}).items()}
    address = ((request.get("requestContext") or {}).get("identity") or {}).get("sourceIp") or ""
    caller = identify(headers.get("authorization") or "", address, clock.now())
    logger.info(
        "identified", extra={"user_id": caller.user_id, "caller": caller.kind, "refused": caller.refused}
    )
    metrics.add_metric("TokenRefused" if caller.refused else "Identified", unit="Count", value=1)
    return {
        "principalId": caller.user_id or caller.kind,
        "policyDocument": {"Version": "2012-10-17", "Statement": [_statement(request.get("methodArn"))]},
        "context": caller.to_context(),
    }


def _statement(method_arn: Any) -> dict[str, str]:
    """Allows all of the API's stage: for `arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me` it is
    `.../live/*`. What is asked about no method of an API is denied.
    """
    parts = method_arn.split("/") if isinstance(method_arn, str) else []
    stage = "/".join(parts[:2]) + "/*" if len(parts) > 2 else ""
    effect, resource = ("Allow", stage) if stage.startswith("arn:") else ("Deny", "*")
    return {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
