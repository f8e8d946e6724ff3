"""Structured logs, metrics and traces, set up once (AWS Lambda Powertools).

Nothing that is secret or personal beyond ids is logged: no bodies, no tokens, no passwords.
"""

from aws_lambda_powertools import Logger, Metrics, Tracer

logger = Logger(service="portal")
metrics = Metrics(namespace="DistributorPortal", service="portal")
tracer = Tracer(service="portal", auto_patch=False)
