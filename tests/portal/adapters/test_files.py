from urllib.parse import parse_qs, urlsplit

import pytest

from portal.adapters import aws, files
from portal.adapters.files import NoSuchFile, Upload

pytestmark = pytest.mark.usefixtures("world")
MIB = 1024 * 1024


def test_what_is_put_can_be_read() -> None:
    files.put("bills/a.csv", b"a,b", "text/csv")
    assert (files.read("bills/a.csv"), files.size("bills/a.csv"), files.exists("bills/a.csv")) == (
        b"a,b",
        3,
        True,
    )


def test_what_is_not_there_is_said_to_be_so() -> None:
    assert not files.exists("bills/none")
    for ask in (files.read, files.size):
        with pytest.raises(NoSuchFile):
            ask("bills/none")


def test_a_folder_is_deleted_without_its_neighbours() -> None:
    for key in ("reports/dst_1/a", "reports/dst_1/deep/b", "reports/dst_10/c"):
        files.put(key, b"x", "text/plain")
    assert files.delete_prefix("reports/dst_1/") == 2
    assert files.delete_prefix("reports/dst_1/") == 0
    assert files.exists("reports/dst_10/c")


@pytest.mark.parametrize("prefix", ["", "/", "reports/dst_1"])
def test_what_is_not_a_folder_is_not_deleted(prefix: str) -> None:
    with pytest.raises(ValueError, match="not a folder"):
        files.delete_prefix(prefix)


def test_a_link_is_signed_short_lived_and_names_the_file_harmlessly() -> None:
    address = urlsplit(files.link("bills/a b.csv", file_name='x"; filename="evil.exe\r\n', seconds=999_999))
    given = parse_qs(address.query)
    assert address.path.endswith("/bills/a%20b.csv")
    assert given["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert given["X-Amz-Expires"] == ["3600"]
    assert given["response-content-disposition"] == ['attachment; filename="x__ filename__evil.exe__"']


def test_an_upload_goes_on_in_another_invocation() -> None:
    first = Upload.begin("reports/r.zip", "application/zip")
    first.write(b"a" * (9 * MIB))
    assert (len(first.parts), len(first.pending)) == (1, MIB)

    second = Upload(first.key, first.upload_id, list(first.parts), 100, bytearray(first.pending))
    second.write(b"b" * (8 * MIB))
    second.close()
    assert second.complete() == 17 * MIB
    assert files.read("reports/r.zip") == b"a" * (9 * MIB) + b"b" * (8 * MIB)
    assert [number for number, _ in second.parts] == [1, 100, 101]


def test_completing_and_giving_up_again_change_nothing() -> None:
    upload = Upload.begin("reports/r.zip", "application/zip")
    upload.write(b"x")
    upload.close()
    assert [upload.complete() for _ in range(2)] == [1, 1]
    upload.abort()
    assert files.read("reports/r.zip") == b"x"


def test_an_upload_that_was_given_up_leaves_nothing() -> None:
    upload = Upload.begin("reports/r.zip", "application/zip")
    upload.write(b"x" * files.PART_BYTES)
    for _ in range(2):
        upload.abort()
    assert not files.exists(upload.key)
    assert not aws.client("s3").list_multipart_uploads(Bucket=files.settings.bucket_name).get("Uploads")


def test_a_refusal_of_another_kind_is_not_taken_for_a_missing_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files.settings.__class__, "bucket_name", "not-our-bucket")
    with pytest.raises(aws.client("s3").exceptions.ClientError):
        files.put("a", b"", "text/plain")
