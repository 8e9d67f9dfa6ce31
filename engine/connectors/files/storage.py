"""A folder of this machine as a storage."""

from engine.formats.storage_local import LocalPartWriter, LocalStorage

__all__ = ["LocalPartWriter", "LocalStorage"]
