"""Where export files lie: a folder, or a bucket and prefix of S3. Names are relative, with `/`."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from rowferry.errors import Refused

_MISSING = ("NoSuchKey", "404", "NotFound")
_TEMPORARY = ".part-in-the-making-"


class Location(Protocol):
    """Files by name. Every reading method raises FileNotFoundError for a name that is not there."""

    def __str__(self) -> str:
        """As the operator wrote it."""

    def names(self) -> list[str]:
        """All names below, sorted; none where nothing is."""

    def read(self, name: str) -> bytes:
        """All of a small file."""

    def fetched(self, name: str) -> Any:
        """Context: the path of a local copy (or of the file itself), gone afterwards."""

    def making(self, name: str) -> Any:
        """Context: an empty local path; what is written there appears under the name as a whole, or never."""

    def remove(self, name: str) -> None:
        """Removes a file; nothing happens where there is none."""

    def clear(self) -> None:
        """Removes all that is below, also what a killed writer left half made."""

    def below(self, name: str) -> "Location":
        """The location of a folder in this one."""


def write(location: Location, name: str, data: bytes) -> None:
    """Puts a small file in place as a whole."""
    with location.making(name) as path:
        path.write_bytes(data)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine; made when it is first written to."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        """All files below, hidden ones left out."""
        files = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return sorted(
            file.as_posix() for file in files if not any(part.startswith(".") for part in file.parts)
        )

    def read(self, name: str) -> bytes:
        """All of a small file."""
        return (self.path / name).read_bytes()

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """The file itself."""
        path = self.path / name
        if not path.is_file():
            raise FileNotFoundError(str(path))
        yield path

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Written under another name, synced, then renamed; so a crash leaves a whole file or none."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=target.parent)
        os.close(handle)
        path = Path(temporary)
        try:
            yield path
            _sync(path)
            path.chmod(0o644)
            path.rename(target)
            _sync(target.parent)
        finally:
            path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Removes a file."""
        (self.path / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Removes the folder."""
        if self.path.exists():
            shutil.rmtree(self.path)

    def below(self, name: str) -> "Folder":
        """The folder of that name."""
        return Folder(self.path / name)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(location: Location) -> None:
    """Removes what a killed writer left half made."""
    if isinstance(location, Folder):
        for path in location.path.rglob(f"{_TEMPORARY}*"):
            path.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class S3Prefix:
    """A bucket and prefix; `client` is boto3's S3 client."""

    client: Any
    bucket: str
    prefix: str = ""

    def __reduce__(self) -> tuple[Any, ...]:
        """To another process it goes without its client, which that process makes for itself."""
        return _bucket, (self.client.meta.region_name, self.bucket, self.prefix)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def _key(self, name: str) -> str:
        return str(PurePosixPath(self.prefix) / name)

    def names(self) -> list[str]:
        """All keys below the prefix; the marks of empty folders left out."""
        start = f"{self.prefix}/" if self.prefix else ""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
        keys = (entry["Key"] for page in pages for entry in page.get("Contents", ()))
        return sorted(key.removeprefix(start) for key in keys if not key.endswith("/"))

    def read(self, name: str) -> bytes:
        """All of a small object."""
        with _missing(f"{self}/{name}"):
            data: bytes = self.client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
            return data

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A copy in the temporary folder (TMPDIR), which needs room for one part for each worker."""
        with tempfile.TemporaryDirectory(prefix="rowferry-") as folder:
            path = Path(folder) / "part"
            with _missing(f"{self}/{name}"):
                self.client.download_file(self.bucket, self._key(name), str(path))
            yield path

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Made in the temporary folder, then put: an object appears as a whole."""
        with tempfile.TemporaryDirectory(prefix="rowferry-") as folder:
            path = Path(folder) / "part"
            path.touch()
            yield path
            self.client.upload_file(str(path), self.bucket, self._key(name))

    def remove(self, name: str) -> None:
        """Removes an object."""
        self.client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def clear(self) -> None:
        """Removes all objects below the prefix."""
        for name in self.names():
            self.remove(name)

    def below(self, name: str) -> "S3Prefix":
        """The prefix of that name."""
        return S3Prefix(self.client, self.bucket, self._key(name))


def _bucket(region: str, bucket: str, prefix: str) -> S3Prefix:
    return S3Prefix(_client(region), bucket, prefix)


@cache
def _client(region: str) -> Any:
    return boto3.client("s3", region_name=region)


@contextmanager
def _missing(what: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        raise FileNotFoundError(what) from error


def location(text: str | Path, client: Any = None) -> Location:
    """
    The location of a folder's path or of `s3://bucket/prefix`, for which `client` is needed.

    Refused for any other address.
    """
    if "://" not in str(text):
        return Folder(Path(text))
    parts = urlsplit(str(text))
    if parts.scheme != "s3" or not parts.netloc or client is None:
        raise Refused(f"{text} is no place for export files", "name a folder or s3://bucket/prefix")
    return S3Prefix(client, parts.netloc, parts.path.strip("/"))
