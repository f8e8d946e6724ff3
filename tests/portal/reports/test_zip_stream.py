import io
import zipfile
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portal.reports import zip_stream
from portal.reports.zip_stream import FileTooLarge, ZipStream

AT = datetime(2023, 1, 10, 12, 30, 14, tzinfo=UTC)


def zipped(pieces: list[bytes], pauses: set[int]) -> bytes:
    """The pieces in one zip; after some of them the stream is put down and taken up by another one."""
    stream = ZipStream("usage é.csv", AT)
    out = stream.begin()
    for number, piece in enumerate(pieces):
        out += stream.write(piece)
        if number in pauses:
            out += stream.pause()
            stream = ZipStream("usage é.csv", AT, stream.crc, stream.raw_bytes, stream.packed_bytes)
    return out + stream.finish()


@given(st.lists(st.binary(max_size=300), max_size=20), st.sets(st.integers(0, 19)))
def test_wherever_it_is_cut_the_zip_is_valid_and_holds_the_same(
    pieces: list[bytes], pauses: set[int]
) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped(pieces, pauses))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["usage é.csv"]
        assert archive.read("usage é.csv") == b"".join(pieces)


def test_sizes_and_date_are_in_its_directory() -> None:
    text = b"a,b\r\n" * 10_000
    data = zipped([text], set())
    (entry,) = zipfile.ZipFile(io.BytesIO(data)).infolist()
    assert (entry.file_size, entry.date_time) == (50_000, (2023, 1, 10, 12, 30, 14))
    assert entry.compress_size < len(data) < 500


def test_what_does_not_fit_into_a_plain_zip_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_stream, "MOST_BYTES", 10)
    stream = ZipStream("a", AT)
    stream.write(b"x" * 10)
    with pytest.raises(FileTooLarge):
        stream.write(b"x")
