"""What an S3 connection is asked over REST: do the credentials work, and on which buckets."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from engine.config import Connection
from engine.connectors.s3.client import (
    S3Client,
    endpoint_of,
    explain_connection,
    open_client,
    spec_of,
    status_of,
)
from engine.errors import Code, EngineError

TEST_ATTEMPTS = 2  # of botocore: somebody is waiting for the answer


def test(connection: Connection) -> dict[str, Any]:
    """`{ping, serverVersion, flavor, endpoint, bucket?}`. With `scope.bucket` that bucket is asked, else the
    list of buckets. CONNECTION_FAILED with `reason`: auth, denied, expired_token, clock, region,
    unknown_bucket, dns, refused, tls, timeout, other."""
    with open_client(connection, attempts=TEST_ATTEMPTS) as client:
        try:
            bucket = spec_of(connection).scope.bucket
            server = _ask_bucket(client, connection, bucket) if bucket else _ask_buckets(client)
        except (BotoCoreError, ClientError) as error:
            raise explain_connection(error, connection) from error
    return {
        "ping": "ok",
        "serverVersion": server,
        "flavor": "s3",
        "endpoint": endpoint_of(connection) or f"AWS S3 in {spec_of(connection).region}",
        **({"bucket": bucket} if bucket else {}),
    }


def _ask_buckets(client: S3Client) -> str:
    return _server(client.list_buckets())


def _ask_bucket(client: S3Client, connection: Connection, bucket: str) -> str:
    """A HEAD has no body to say why it failed: a listing of one key does."""
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        if status_of(error) not in (301, 307, 400, 403, 404):
            raise
        answer = client.list_objects_v2(
            Bucket=bucket, Prefix=spec_of(connection).scope.prefix or "", MaxKeys=1
        )
    region = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region")
    if region and region != spec_of(connection).region:
        raise EngineError(
            Code.CONNECTION_FAILED,
            f"the bucket {bucket} is in {region}: correct spec.s3.region",
            reason="region",
            bucket=bucket,
            region=region,
        )
    return _server(answer)


def _server(answer: Any) -> str:
    return str(answer["ResponseMetadata"]["HTTPHeaders"].get("server", ""))


def databases(connection: Connection) -> list[dict[str, Any]]:
    """The buckets: `[{name, isSystem, schemas: []}]`; the one of the scope where that is given."""
    bucket = spec_of(connection).scope.bucket
    with open_client(connection, attempts=TEST_ATTEMPTS) as client:
        try:
            if bucket:
                _ask_bucket(client, connection, bucket)
                names = [bucket]
            else:
                names = [found["Name"] for found in client.list_buckets().get("Buckets", [])]
        except (BotoCoreError, ClientError) as error:
            raise explain_connection(error, connection) from error
    return [{"name": name, "isSystem": False, "schemas": []} for name in sorted(names)]


def create_database(connection: Connection, name: str) -> None:
    """Buckets are made by their owner: names, regions and rights are not ours to choose."""
    raise EngineError(
        Code.UNSUPPORTED_ROUTE, "buckets are not created here: make it with the provider's tools", type="s3"
    )


def schemas(connection: Connection, database: str) -> list[dict[str, Any]]:
    raise _no_schemas()


def create_schema(connection: Connection, database: str, name: str) -> None:
    raise _no_schemas()


def table_names(connection: Connection, database: str, schema: str | None) -> set[str]:
    raise _no_schemas()


def _no_schemas() -> EngineError:
    return EngineError(Code.UNSUPPORTED_ROUTE, "a bucket has no schemas", type="s3")
