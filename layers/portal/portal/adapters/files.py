"""S3: the portal's one bucket of files (bills, reports); it is private, users get short-lived links."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from portal.adapters import aws
from portal.settings import settings

PART_BYTES = 8 * 1024 * 1024
"""What an upload sends at a time. S3 takes parts of 5 MiB to 5 GiB; only the last may be smaller."""

_DELETED_AT_ONCE = 1_000
_GONE = ("404", "NoSuchKey", "NotFound")


class NoSuchFile(Exception):
    """There is no file under this key: never written, or deleted by now."""


def put(key: str, data: bytes, content_type: str) -> None:
    """Write a whole file; one that is there is replaced."""
    aws.client("s3").put_object(Bucket=settings.bucket_name, Key=key, Body=data, ContentType=content_type)


def read(key: str) -> bytes:
    """The whole of a file.

    Raises:
        NoSuchFile: there is none.
    """
    try:
        data: bytes = aws.client("s3").get_object(Bucket=settings.bucket_name, Key=key)["Body"].read()
    except ClientError as error:
        raise _translated(error, key) from error
    return data


def size(key: str) -> int:
    """The bytes of a file.

    Raises:
        NoSuchFile: there is none.
    """
    try:
        return int(aws.client("s3").head_object(Bucket=settings.bucket_name, Key=key)["ContentLength"])
    except ClientError as error:
        raise _translated(error, key) from error


def exists(key: str) -> bool:
    """Whether there is such a file."""
    try:
        size(key)
    except NoSuchFile:
        return False
    return True


def link(key: str, *, file_name: str, seconds: int) -> str:
    """An address that downloads the file as `file_name`, for whoever holds it, for so many seconds.

    At most an hour: the signature ends with the function's own credentials.
    """
    safe_name = re.sub(r"[^A-Za-z0-9._ -]", "_", file_name)
    url: str = aws.client("s3").generate_presigned_url(
        "get_object",
        Params={
            "Bucket": settings.bucket_name,
            "Key": key,
            "ResponseContentDisposition": f'attachment; filename="{safe_name}"',
            "ResponseCacheControl": "no-store",
        },
        ExpiresIn=min(seconds, 3600),
    )
    return url


def delete(keys: Iterable[str]) -> None:
    """Delete files; those that are not there are gone already."""
    remaining = sorted(set(keys))
    for first in range(0, len(remaining), _DELETED_AT_ONCE):
        batch = [{"Key": key} for key in remaining[first : first + _DELETED_AT_ONCE]]
        answer = aws.client("s3").delete_objects(
            Bucket=settings.bucket_name, Delete={"Objects": batch, "Quiet": True}
        )
        if answer.get("Errors"):
            raise RuntimeError(
                f"{len(answer['Errors'])} files could not be deleted, the first: {answer['Errors'][0]}"
            )


def delete_prefix(prefix: str) -> int:
    """Delete every file of a folder, e.g. `reports/dst_1/prt_2/acc_3/`; returns how many.

    Raises:
        ValueError: the prefix does not end with a slash, and would take its neighbours along.
    """
    if not prefix.strip("/") or not prefix.endswith("/"):
        raise ValueError(f"not a folder: {prefix!r}")
    pages = (
        aws.client("s3").get_paginator("list_objects_v2").paginate(Bucket=settings.bucket_name, Prefix=prefix)
    )
    deleted = 0
    for page in pages:
        found = [each["Key"] for each in page.get("Contents", [])]
        delete(found)
        deleted += len(found)
    return deleted


@dataclass
class Upload:
    """A file written piece by piece, in as many invocations as it takes, without ever holding it whole.

    What another invocation needs to go on is in the attributes: `parts` are (number, etag) of what S3 has,
    `pending` is what was written since and is still too little for a part. Part numbers ascend and need not be
    consecutive, so two writers that do not know of each other can be given ranges of their own.
    """

    key: str
    upload_id: str
    parts: list[tuple[int, str]] = field(default_factory=list)
    next_number: int = 1
    pending: bytearray = field(default_factory=bytearray)

    @classmethod
    def begin(cls, key: str, content_type: str) -> "Upload":
        """A new upload. The file appears when it is completed; the bucket's lifecycle clears away the others."""
        answer = aws.client("s3").create_multipart_upload(
            Bucket=settings.bucket_name, Key=key, ContentType=content_type
        )
        return cls(key, answer["UploadId"])

    def write(self, data: bytes) -> None:
        """Add to the file."""
        self.pending += data
        while len(self.pending) >= PART_BYTES:
            self._send(bytes(self.pending[:PART_BYTES]))
            del self.pending[:PART_BYTES]

    def close(self) -> None:
        """Send the rest, however little: nothing can be written after."""
        if self.pending or not self.parts:
            self._send(bytes(self.pending))
            self.pending.clear()

    def complete(self) -> int:
        """Make the closed file appear; returns its bytes. Doing so again changes nothing."""
        try:
            aws.client("s3").complete_multipart_upload(
                Bucket=settings.bucket_name,
                Key=self.key,
                UploadId=self.upload_id,
                MultipartUpload={
                    "Parts": [{"PartNumber": number, "ETag": etag} for number, etag in self.parts]
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise
        return size(self.key)

    def abort(self) -> None:
        """Give up: S3 forgets the parts. Doing so again changes nothing."""
        try:
            aws.client("s3").abort_multipart_upload(
                Bucket=settings.bucket_name, Key=self.key, UploadId=self.upload_id
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchUpload":
                raise

    def _send(self, data: bytes) -> None:
        answer: dict[str, Any] = aws.client("s3").upload_part(
            Bucket=settings.bucket_name,
            Key=self.key,
            UploadId=self.upload_id,
            PartNumber=self.next_number,
            Body=data,
        )
        self.parts.append((self.next_number, answer["ETag"]))
        self.next_number += 1


def _translated(error: ClientError, key: str) -> Exception:
    return NoSuchFile(key) if error.response["Error"]["Code"] in _GONE else error
