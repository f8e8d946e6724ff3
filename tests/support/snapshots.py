"""Remembering what moto holds, and putting it back.

DynamoDB items are never changed in place under the harness, so their tables are remembered as dictionaries of
references. Of everything else the objects' attributes are remembered, their lists, sets and dictionaries
copied, and put back into the same objects.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from moto.core.base_backend import BackendDict
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table
from moto.s3.models import FakeBucket, S3Backend, s3_backends
from moto.sqs.models import SQSBackend


class Snapshot:
    """The state of every moto backend in use when it was taken."""

    def __init__(self) -> None:
        self._memories = [_Memory(thing) for backend in _backends() for thing in (backend, *_parts(backend))]
        self._tables = [
            _TableItems(table)
            for backend in _backends()
            if isinstance(backend, DynamoDBBackend)
            for table in backend.tables.values()
        ]
        self._buckets = [_BucketKeys(bucket) for bucket in _buckets()]
        self._backends = {id(backend) for backend in _backends()}
        self._owners = dict(s3_backends.bucket_accounts)

    def restore(self) -> None:
        for backend in list(_backends()):
            if id(backend) not in self._backends:
                backend.reset()
        memories: list[_Memory | _TableItems | _BucketKeys] = [*self._memories, *self._tables, *self._buckets]
        for memory in memories:
            memory.restore()
        s3_backends.bucket_accounts.clear()
        s3_backends.bucket_accounts.update(self._owners)


def _backends() -> Iterator[Any]:
    instances: list[Any] = list(BackendDict._instances)  # type: ignore[misc]
    for backends in instances:
        for _, _, backend in list(backends.iter_backends()):
            yield backend


def _parts(backend: Any) -> Iterator[Any]:
    """The objects inside a backend that are changed in place."""
    if isinstance(backend, DynamoDBBackend):
        for table in backend.tables.values():
            yield table
            if table.stream_shard is not None:
                yield table.stream_shard
    elif isinstance(backend, SQSBackend):
        for queue in backend.queues.values():
            yield queue
            yield from queue._messages
    elif isinstance(backend, S3Backend):
        for bucket in backend.buckets.values():
            yield bucket
            yield from bucket.multiparts.values()
            for versions in dict.values(bucket.keys):
                yield from versions
        yield backend.tagger


def _buckets() -> Iterator[FakeBucket]:
    for backend in _backends():
        if isinstance(backend, S3Backend):
            yield from backend.buckets.values()


class _Memory:
    """An object's attributes."""

    def __init__(self, thing: Any) -> None:
        self._thing = thing
        self._state = {name: _copied(value) for name, value in vars(thing).items()}

    def restore(self) -> None:
        attributes = vars(self._thing)
        attributes.clear()
        attributes.update({name: _copied(value) for name, value in self._state.items()})


def _copied(value: Any) -> Any:
    """Plain containers copied at every level, everything else as it is."""
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return kind((key, _copied(content)) for key, content in value.items())
    if kind is list:
        return [_copied(content) for content in value]
    if kind is set:
        return set(value)
    return value


class _TableItems:
    def __init__(self, table: Table) -> None:
        self._table = table
        items: Any = table.items
        self._items = items
        self._content = {key: dict(value) if type(value) is dict else value for key, value in items.items()}

    def restore(self) -> None:
        self._table.items = self._items
        self._items.clear()
        self._items.update(
            {key: dict(value) if type(value) is dict else value for key, value in self._content.items()}
        )


class _BucketKeys:
    def __init__(self, bucket: FakeBucket) -> None:
        self._bucket = bucket
        self._keys = {name: list(versions) for name, versions in dict.items(bucket.keys)}
        self._multiparts = dict(bucket.multiparts)

    def restore(self) -> None:
        dict.clear(self._bucket.keys)
        dict.update(self._bucket.keys, {name: list(versions) for name, versions in self._keys.items()})
        dict.clear(self._bucket.multiparts)
        dict.update(self._bucket.multiparts, self._multiparts)
