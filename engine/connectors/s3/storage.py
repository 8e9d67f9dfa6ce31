"""A bucket, or a prefix of one, as a storage: reads by ranges, uploads in parts, conditional replacing."""

from __future__ import annotations

import contextlib
import io
import secrets
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from botocore.exceptions import BotoCoreError, ClientError

from engine.config import Connection, S3Upload
from engine.connectors.s3 import client as s3_client
from engine.connectors.s3.client import S3Client, code_of, status_of
from engine.connectors.s3.objects import READ_ATTEMPTS, ObjectFile, cut, drain
from engine.connectors.s3.upload import UploadWriter
from engine.errors import EngineError
from engine.formats.storage import (
    ABSENT,
    Conflict,
    PartWriter,
    StoredFile,
    changed,
    join,
    not_allowed,
    not_found,
    parts_of,
)


class S3Storage:
    """Objects of `bucket` under `prefix`. `upload` says with which class and encryption they are written."""

    flavor: Literal["files", "s3"] = "s3"

    def __init__(
        self, connection: Connection, bucket: str, prefix: str = "", upload: S3Upload | None = None
    ) -> None:
        self.bucket = bucket
        self.prefix = join(prefix)
        self.place = f"s3://{join(bucket, self.prefix)}"
        self.client: S3Client
        self.client, self._folder = s3_client.make_client(connection)
        self._written = _written_with(upload)
        self._conditional: bool | None = None
        self._lock = threading.Lock()

    def key(self, path: str) -> str:
        """The object's key. PATH_NOT_ALLOWED for a path that is none of a file under the prefix."""
        names = parts_of(path)
        if not names:
            raise not_allowed(path)
        return join(self.prefix, *names)

    def _path(self, key: str) -> str:
        return key[len(self.prefix) + 1 :] if self.prefix else key

    def _under(self, under: str) -> str:
        folder = join(self.prefix, *parts_of(under))
        return f"{folder}/" if folder else ""

    # ------------------------------------------------------------ looking

    def list(self, under: str = "", begins: str = "") -> Iterator[StoredFile]:
        with explained():
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._under(under) + begins
            )
            for page in pages:
                for found in page.get("Contents", []):
                    key = found["Key"]
                    if not key.endswith("/"):  # what consoles make to show an empty folder
                        yield StoredFile(
                            self._path(key),
                            found["Size"],
                            _bare(found["ETag"]),
                            found["LastModified"].timestamp(),
                        )

    def stat(self, path: str) -> StoredFile | None:
        with explained():
            try:
                found = self.client.head_object(Bucket=self.bucket, Key=self.key(path))
            except ClientError as error:
                if status_of(error) == 404:
                    return None
                raise
        return StoredFile(
            join(path), found["ContentLength"], _bare(found["ETag"]), found["LastModified"].timestamp()
        )

    def open(self, path: str, version: str | None = None) -> io.RawIOBase:
        found = self.stat(path)
        if found is None:
            raise not_found(path, self.place)
        if version is not None and found.version != version:
            raise changed(path)
        return ObjectFile(self, found)

    def read_range(self, path: str, start: int, length: int, version: str | None = None) -> bytes:
        """As the protocol says; a read cut short is taken up again where it broke off."""
        data = bytearray()
        failures = 0
        while len(data) < length:
            body, end = self.body(path, start + len(data), start + length, version)
            if body is None:
                break
            with contextlib.closing(body):
                piece, failure = drain(body)
            data += piece
            failures = 0 if piece else failures + 1
            if failure is None and start + len(data) >= end:
                break
            if failures >= READ_ATTEMPTS:
                raise cut(failure) if failure else changed(path)
        return bytes(data)

    def body(self, path: str, start: int, end: int | None, version: str | None) -> tuple[Any, int]:
        """The stream of the bytes from `start` to before `end`, and where it ends; None when there are none
        at `start`."""
        if end is not None and end <= start:
            return None, start
        last = "" if end is None else str(end - 1)
        condition: dict[str, Any] = {} if version is None else {"IfMatch": f'"{version}"'}
        with explained():
            try:
                answer = self.client.get_object(
                    Bucket=self.bucket, Key=self.key(path), Range=f"bytes={start}-{last}", **condition
                )
            except ClientError as error:
                if status_of(error) == 416:
                    return None, start
                if status_of(error) == 412:
                    raise changed(path) from None
                if status_of(error) == 404 and code_of(error) != "NoSuchBucket":
                    raise not_found(path, self.place) from None
                raise
        if version is not None and _bare(answer["ETag"]) != version:  # a server that ignores If-Match
            answer["Body"].close()
            raise changed(path)
        return answer["Body"], start + answer["ContentLength"]

    def local_path(self, path: str) -> Path | None:
        return None

    # ------------------------------------------------------------ small objects

    def get(self, path: str) -> tuple[bytes, str] | None:
        """As the protocol says; an answer cut short is asked for again whole: the tag is of all its bytes."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            with explained():
                try:
                    answer = self.client.get_object(Bucket=self.bucket, Key=self.key(path))
                except ClientError as error:
                    if status_of(error) == 404 and code_of(error) != "NoSuchBucket":
                        return None
                    raise
            with contextlib.closing(answer["Body"]) as body:
                data, failure = drain(body)
            if failure is None:
                return data, _bare(answer["ETag"])
            if attempt == READ_ATTEMPTS:
                raise cut(failure) from failure
        raise AssertionError("the last attempt returns or raises")

    def put(self, path: str, data: bytes, expect: str | None = None) -> str:
        """As the protocol says. Where the server takes no conditions, the tag is compared just before."""
        condition: dict[str, Any] = {}
        if expect is not None:
            if self.conditional:
                condition = {"IfNoneMatch": "*"} if expect == ABSENT else {"IfMatch": f'"{expect}"'}
            else:
                now = self.stat(path)
                if (now.version if now else ABSENT) != expect:
                    raise Conflict(path)
        with explained():
            try:
                return self._put(path, data, condition)
            except ClientError as error:
                # 409: another conditional write of the key is under way. 404: what IfMatch meant is gone.
                if condition and status_of(error) in (404, 409, 412) and code_of(error) != "NoSuchBucket":
                    raise Conflict(path) from None
                raise

    def _put(self, path: str, data: bytes, condition: Mapping[str, Any]) -> str:
        answer = self.client.put_object(
            Bucket=self.bucket, Key=self.key(path), Body=data, **self._encryption(), **condition
        )
        return _bare(answer["ETag"])

    def _encryption(self) -> dict[str, Any]:
        """Small objects of ours are encrypted as the data are, but stay in the standard class: the others
        bill a minimum size and time, and some cannot be read at once."""
        return {name: value for name, value in self._written.items() if name != "StorageClass"}

    @property
    def conditional(self) -> bool:
        """Asked once, with an object of its own: some servers take no notice of the condition."""
        with self._lock:
            if self._conditional is None:
                self._conditional = self._ask_conditional()
            return self._conditional

    def _ask_conditional(self) -> bool:
        path = f"_dbstreams_checkpoint/.probe-{secrets.token_hex(8)}"
        try:
            with explained():
                tag = self._put(path, b"", {"IfNoneMatch": "*"})
                return all(
                    self._refused(path, condition)
                    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": f'"{tag[::-1]}"'})
                )
        except EngineError as error:
            if error.details.get("status") in (400, 501):  # it knows the header and does not do it
                return False
            raise
        finally:
            with contextlib.suppress(EngineError):
                self.delete(path)

    def _refused(self, path: str, condition: Mapping[str, Any]) -> bool:
        try:
            self._put(path, b"", condition)
        except ClientError as error:
            if status_of(error) in (409, 412):
                return True
            raise
        return False

    # ------------------------------------------------------------ writing

    def create(self, path: str) -> PartWriter:
        return UploadWriter(self.client, self.bucket, self.key(path), join(path), self._written)

    def delete(self, path: str) -> None:
        with explained():
            self.client.delete_object(Bucket=self.bucket, Key=self.key(path))

    def abandon(self, under: str, name_prefix: str) -> int:
        """Abort the multipart uploads of such keys, whoever began them."""
        with explained():
            try:
                return sum(
                    self._abort(upload["Key"], upload["UploadId"])
                    for upload in self._uploads(under)
                    if upload["Key"].rsplit("/", 1)[-1].startswith(name_prefix)
                )
            except ClientError as error:
                # Some servers say so when there are none, some have no such listing.
                if code_of(error) == "NoSuchUpload" or status_of(error) == 501:
                    return 0
                raise

    def _uploads(self, under: str) -> Iterator[Mapping[str, str]]:
        pages = self.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self.bucket, Prefix=self._under(under)
        )
        for page in pages:
            yield from page.get("Uploads", [])

    def _abort(self, key: str, upload_id: str) -> int:
        try:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ClientError as error:
            if status_of(error) == 404:  # done, or aborted, meanwhile
                return 0
            raise
        return 1

    def close(self) -> None:
        self.client.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _written_with(upload: S3Upload | None) -> dict[str, Any]:
    """The parameters of every request that makes an object of the data."""
    if upload is None:
        return {}
    given = {
        "StorageClass": upload.storage_class,
        "ServerSideEncryption": upload.server_side_enc,
        "SSEKMSKeyId": upload.kms_key_id,
    }
    return {name: value for name, value in given.items() if value is not None}


def _bare(etag: str) -> str:
    """Some servers quote an ETag in one answer and not in another."""
    return etag.removeprefix("W/").strip('"')


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """What botocore raises inside, as an EngineError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise s3_client.explain(error) from error
