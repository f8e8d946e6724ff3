"""API authorizer (REQUEST), asked before every operation; nothing it finds is cached

Says who is calling, in one batched consistent read. It allows every request: an operation itself answers 401
or 403, as problem+json, when the caller it is told of may not use it.
"""

from collections.abc import Mapping
from typing import Any

from portal import clock
from portal.identity.actions import identify
from portal.telemetry import logger, metrics, tracer


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    headers = {str(name).lower(): value for name, value in (event.get("headers") or {}).items()}
    caller = identify(headers.get("authorization") or "", clock.now())
    logger.info(
        "identified", extra={"user_id": caller.user_id, "caller": caller.kind, "refused": caller.refused}
    )
    metrics.add_metric("TokenRefused" if caller.refused else "Identified", unit="Count", value=1)
    return {
        "principalId": caller.user_id or caller.kind,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": _stage(event["methodArn"])}
            ],
        },
        "context": caller.to_context(),
    }


def _stage(method_arn: str) -> str:
    """All of the API's stage: `arn:aws:execute-api:eu-central-1:123456789012:api/live/GET/v1/me` to
    `.../live/*`.
    """
    return "/".join(method_arn.split("/")[:2]) + "/*"
