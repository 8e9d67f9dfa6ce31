"""One object being written: a single request when it is small, else a multipart upload of bounded memory."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from engine.connectors.s3 import client as s3_client
from engine.connectors.s3.client import S3Client, code_of
from engine.errors import Code, EngineError
from engine.formats.storage import PartWriter, StoredFile

PART_BYTES = 8 << 20  # S3 takes parts from 5 MiB, but for the last
GROW_EVERY = 2_000  # parts after which the next ones are twice as large: 10,000 are the most
PARTS_UNDER_WAY = 2  # of one writer, besides the one being filled


class UploadWriter(PartWriter):
    """Holds PART_BYTES, and as many again for each part under way. `abort` leaves no upload behind."""

    def __init__(
        self, client: S3Client, bucket: str, key: str, path: str, written: Mapping[str, Any]
    ) -> None:
        super().__init__()
        self._client = client
        self._object = {"Bucket": bucket, "Key": key}
        self._path = path
        self._written = dict(written)
        self._buffer = bytearray()
        self._size = 0
        self._upload_id: str | None = None
        self._parts: list[Future[str]] = []
        self._under_way: deque[Future[str]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._done = False

    @property
    def size(self) -> int:
        return self._size

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        left = view
        while left:
            room = self._part_bytes() - len(self._buffer)
            self._buffer += left[:room]
            left = left[room:]
            if len(self._buffer) >= self._part_bytes():
                self._send()
        self._size += len(view)
        return len(view)

    def _part_bytes(self) -> int:
        return PART_BYTES << (len(self._parts) // GROW_EVERY)

    def _send(self) -> None:
        """Hand the buffer to the uploading threads; wait while enough parts are under way."""
        with explained():
            if self._upload_id is None:
                begun = self._client.create_multipart_upload(**self._object, **self._written)
                self._upload_id = str(begun["UploadId"])
                if begun["ResponseMetadata"].get("RetryAttempts"):
                    self._abort_others()
                self._pool = ThreadPoolExecutor(PARTS_UNDER_WAY, thread_name_prefix="upload")
            while len(self._under_way) >= PARTS_UNDER_WAY:
                self._under_way.popleft().result()
            assert self._pool is not None
            part = self._pool.submit(self._upload, len(self._parts) + 1, self._buffer)
            self._buffer = bytearray()
            self._parts.append(part)
            self._under_way.append(part)

    def _abort_others(self) -> None:
        """An upload may have begun whose answer was lost. What cannot be listed or aborted is left to the end
        of the stream."""
        with contextlib.suppress(BotoCoreError, ClientError):
            found = self._client.list_multipart_uploads(
                Bucket=self._object["Bucket"], Prefix=self._object["Key"]
            )
            for upload in found.get("Uploads", []):
                if upload["Key"] == self._object["Key"] and upload["UploadId"] != self._upload_id:
                    self._client.abort_multipart_upload(**self._object, UploadId=upload["UploadId"])

    def _upload(self, number: int, data: bytearray) -> str:
        assert self._upload_id is not None
        answer = self._client.upload_part(
            **self._object,
            UploadId=self._upload_id,
            PartNumber=number,
            Body=data,
        )
        return str(answer["ETag"])

    def commit(self) -> StoredFile:
        with explained():
            if self._upload_id is None:
                self._client.put_object(**self._object, Body=bytes(self._buffer), **self._written)
            else:
                if self._buffer:
                    self._send()
                self._complete()
            self._done = True
            self._buffer = bytearray()
            found = self._client.head_object(**self._object)
        if found["ContentLength"] != self._size:
            raise EngineError(
                Code.CONNECTION_LOST,
                f"{self._path} arrived with {found['ContentLength']} of {self._size} bytes",
                path=self._path,
            )
        etag = found["ETag"].strip('"')
        return StoredFile(self._path, self._size, etag, found["LastModified"].timestamp())

    def _complete(self) -> None:
        assert self._upload_id is not None
        parts = [
            {"PartNumber": number, "ETag": part.result()} for number, part in enumerate(self._parts, start=1)
        ]
        try:
            self._client.complete_multipart_upload(
                **self._object,
                UploadId=self._upload_id,
                MultipartUpload={"Parts": parts},
            )
        except ClientError as error:
            if not (code_of(error) == "NoSuchUpload" and self._is_there(parts)):
                raise
        self._close_pool()

    def _is_there(self, parts: Sequence[Mapping[str, Any]]) -> bool:
        """Whether the upload was completed by a request whose answer was lost. An ETag of several parts ends
        in how many there are; where it does not, the size must do."""
        try:
            found = self._client.head_object(**self._object)
        except ClientError:
            return False
        count = found["ETag"].strip('"').partition("-")[2]
        return bool(found["ContentLength"] == self._size and count in ("", str(len(parts))))

    def abort(self) -> None:
        self._buffer = bytearray()
        self._close_pool()
        if self._done or self._upload_id is None:
            return
        self._done = True
        # When the server is gone, resuming or ending the stream aborts what it finds.
        with contextlib.suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(**self._object, UploadId=self._upload_id)

    def _close_pool(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
        self._under_way.clear()


@contextlib.contextmanager
def explained() -> Iterator[None]:
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise s3_client.explain(error) from error
