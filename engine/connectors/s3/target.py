"""S3 as a target: objects under `upload.prefix`, written in parts, listed by a manifest written last."""

from __future__ import annotations

import os
from pathlib import Path

from engine.config import Connection, S3Upload, TargetSpec
from engine.connectors.base import Note, Severity
from engine.connectors.s3.client import spec_of
from engine.connectors.s3.kept import KeptStorage
from engine.connectors.s3.storage import S3Storage
from engine.errors import Code, EngineError
from engine.formats.storage import join
from engine.formats.target import FormatTarget

_UNCONDITIONAL = Note(
    Severity.INFO,
    "s3-no-conditions",
    "this S3 server takes no notice of If-Match: that no second attempt writes at the same time is then up to"
    " the one server that runs the stream",
)


def open_target(connection: Connection, spec: TargetSpec, stream_id: str) -> FormatTarget:
    """UNSUPPORTED_ROUTE when the spec is not one of S3; PATH_NOT_ALLOWED for a bucket or prefix outside the
    connection's scope; CONNECTION_FAILED and the like when the bucket does not answer."""
    if spec.s3 is None:
        raise EngineError(
            Code.UNSUPPORTED_ROUTE, "an s3 connection needs target.spec.s3", field="target.spec"
        )
    upload = spec.s3.upload
    _check_upload(upload)
    _check_scope(connection, upload)
    if upload.keep_local_files:
        storage: S3Storage = KeptStorage(connection, upload, kept_in() / join(upload.bucket, upload.prefix))
    else:
        storage = S3Storage(connection, upload.bucket, upload.prefix, upload)
    try:
        remarks = [] if storage.conditional else [_UNCONDITIONAL]
        return FormatTarget(storage, spec.s3, stream_id, "target.spec.s3", remarks)
    except BaseException:
        storage.close()
        raise


def kept_in() -> Path:
    """Where local copies go: `$DBSTREAMS_EXPORT_DIR`, else `exports` in the data folder."""
    named = os.environ.get("DBSTREAMS_EXPORT_DIR")
    if named:
        return Path(named)
    data = os.environ.get("DBSTREAMS_DATA_DIR")
    return (Path(data) if data else Path.home() / ".local/share/dbstreams") / "exports"


def _check_upload(upload: S3Upload) -> None:
    if upload.kms_key_id and upload.server_side_enc != "aws:kms":
        field = "target.spec.s3.upload.kmsKeyId"
        problem = "it needs serverSideEnc aws:kms"
        raise EngineError(
            Code.VALIDATION_FAILED, f"{field}: {problem}", fields=[{"field": field, "problem": problem}]
        )


def _check_scope(connection: Connection, upload: S3Upload) -> None:
    scope = spec_of(connection).scope
    inside = not scope.bucket or scope.bucket == upload.bucket
    if inside and scope.prefix:
        wanted, allowed = join(upload.prefix), join(scope.prefix)
        inside = wanted == allowed or wanted.startswith(f"{allowed}/")
    if not inside:
        raise EngineError(
            Code.PATH_NOT_ALLOWED,
            f"s3://{join(upload.bucket, upload.prefix)} is outside the connection's scope",
            bucket=upload.bucket,
            prefix=upload.prefix,
        )
