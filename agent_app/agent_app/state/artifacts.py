"""What is too long for the database: objects in S3, under the fleet's own prefix."""

from __future__ import annotations

from typing import Any


class Artifacts:
    """One bucket; `key` is without the prefix."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

    async def put(self, key: str, content: bytes, media_type: str) -> None:
        """Writes it, over what is there."""
        await self._client.put_object(
            Bucket=self._bucket, Key=self._prefix + key, Body=content, ContentType=media_type
        )

    async def get(self, key: str) -> bytes:
        """Reads it whole."""
        answer = await self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        async with answer["Body"] as body:
            content: bytes = await body.read()
        return content
