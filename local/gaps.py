"""What AWS does with the template and MiniStack leaves out, done by hand after a deployment or before a start.

It ignores three parts of a REST API's body: what API Gateway answers itself (gateway responses), the headers
of the answers to CORS preflights, and routes for any method. Nobody reads the mail by which SES verifies a
sender. And over a restart it keeps how far the streams were read, but not the streams.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def close(client: Callable[[str], Any], stack: str, stage: str) -> None:
    cloudformation = client("cloudformation")
    described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in described["Parameters"]}
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}
    template = cloudformation.get_template(StackName=stack, TemplateStage="Processed")["TemplateBody"]
    names = parameters | {"AWS::Partition": "aws", "AWS::Region": cloudformation.meta.region_name}
    for function in client("lambda").get_paginator("list_functions").paginate().search("Functions[]"):
        names[function["FunctionName"].split("-")[1] + ".Arn"] = function["FunctionArn"]
    body = _body(template if isinstance(template, dict) else json.loads(template), names)

    gateway = client("apigateway")
    for response_type, response in body["x-amazon-apigateway-gateway-responses"].items():
        gateway.put_gateway_response(
            restApiId=outputs["ApiId"],
            responseType=response_type,
            responseParameters=response.get("responseParameters", {}),
            responseTemplates=response.get("responseTemplates", {}),
            **({"statusCode": str(response["statusCode"])} if "statusCode" in response else {}),
        )
    for resource in _resources(gateway, outputs["ApiId"]):
        operations = body["paths"].get(resource["path"], {})
        if preflight := operations.get("options"):
            integration = preflight["x-amazon-apigateway-integration"]
            _answer_preflight(gateway, outputs["ApiId"], resource["id"], integration)
        if anything := operations.get("x-amazon-apigateway-any-method"):
            integration = anything["x-amazon-apigateway-integration"]
            _route_any_method(gateway, outputs["ApiId"], resource, integration)
    gateway.create_deployment(restApiId=outputs["ApiId"], stageName=stage)

    client("ses").verify_domain_identity(Domain=parameters["MailIdentity"])


def begin_streams_anew(state: Path) -> None:
    """Let the readers of streams, which are empty after a start, begin at the beginning.

    Otherwise they would wait until as much was written again as they had read before.
    """
    file = state / "lambda.json"
    if file.exists():
        stored = json.loads(file.read_text())
        stored["payload"]["dynamodb_stream_positions"]["data"] = {}
        file.write_text(json.dumps(stored))


def _answer_preflight(gateway: Any, api: str, resource: str, integration: dict[str, Any]) -> None:
    for response in integration["responses"].values():
        gateway.put_integration_response(
            restApiId=api,
            resourceId=resource,
            httpMethod="OPTIONS",
            statusCode=str(response["statusCode"]),
            responseParameters=response["responseParameters"],
        )


def _route_any_method(gateway: Any, api: str, resource: dict[str, Any], integration: dict[str, Any]) -> None:
    route = {"restApiId": api, "resourceId": resource["id"], "httpMethod": "ANY"}
    if "ANY" not in resource.get("resourceMethods", {}):
        gateway.put_method(**route, authorizationType="NONE")
    gateway.put_integration(**route, type="AWS_PROXY", integrationHttpMethod="POST", uri=integration["uri"])


def _resources(gateway: Any, api: str) -> list[dict[str, Any]]:
    pages = gateway.get_paginator("get_resources").paginate(restApiId=api)
    return [resource for page in pages for resource in page["items"]]


def _body(template: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """The API's OpenAPI body, its references to these names resolved."""
    text = json.dumps(template["Resources"]["Api"]["Properties"]["Body"])
    resolved: dict[str, Any] = _resolved(json.loads(text), names)
    return resolved


def _resolved(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, list):
        return [_resolved(each, names) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("Fn::Sub"), str):
        text = value["Fn::Sub"]
        for name, meaning in names.items():
            text = text.replace(f"${{{name}}}", meaning)
        return text
    return {key: _resolved(each, names) for key, each in value.items()}
