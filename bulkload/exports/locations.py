"""Where export files are: a folder, or a bucket and prefix in S3. Names are relative, with `/`."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError

from rowferry.errors import Refused

_MISSING = ("NoSuchKey", "404", "NotFound")
_NO_NAME = re.compile(r"[/\\%\x00-\x1f]|^\.")
_LONGEST_NAME = 200
_TEMPORARY = ".part-in-the-making-"  # with a dot: `names` leaves hidden files out


class Location(Protocol):
    """
    Files by name: a Folder or an S3Prefix. Picklable.

    `read` and `fetched` raise FileNotFoundError for a name that does not exist. S3's own errors are
    botocore's ClientError.
    """

    def __str__(self) -> str:
        """As the operator wrote it."""

    def names(self) -> list[str]:
        """All names below, sorted; empty where the location does not exist."""

    def read(self, name: str) -> bytes:
        """The content of a small file."""

    def fetched(self, name: str) -> Any:
        """Context manager: the path of a local copy, deleted afterwards, or of the file itself."""

    def making(self, name: str) -> Any:
        """
        Context manager: an empty local path to write to.

        At its end the file appears under the name, complete; after an error it does not appear.
        """

    def remove(self, name: str) -> None:
        """Removes a file, if there is one."""

    def clear(self) -> None:
        """Removes everything below, including the half-written files of a killed writer."""

    def below(self, name: str) -> "Location":
        """The location of a folder in this one."""


def folder_of(source: str) -> str:
    """
    The name of a table's folder: its own, `schema.table`, unless that cannot be the name of one folder.

    A name on a disk has no slash, is not `..`, and has at most 255 bytes. A percent sign is the sign of these
    codes, as in an address.
    """
    name = _NO_NAME.sub(lambda sign: f"%{ord(sign.group()):02X}", source)
    if len(name.encode()) <= _LONGEST_NAME:
        return name
    digest = sha256(source.encode()).hexdigest()[:16]
    return f"{name.encode()[:_LONGEST_NAME].decode(errors='ignore')}%{digest}"


def write(location: Location, name: str, data: bytes) -> None:
    """Writes a small file, atomically."""
    with location.making(name) as path:
        path.write_bytes(data)


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine; created at the first write."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def names(self) -> list[str]:
        files = (path.relative_to(self.path) for path in self.path.rglob("*") if path.is_file())
        return sorted(
            # Hidden files are not ours, or not complete (`making`).
            file.as_posix()
            for file in files
            if not any(part.startswith(".") for part in file.parts)
        )

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        path = self.path / name
        if not path.is_file():
            raise FileNotFoundError(str(path))
        yield path

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Writes under a temporary name, syncs, then renames: a crash leaves a complete file or none."""
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder: only within one file system a rename is atomic.
        handle, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=target.parent)
        os.close(handle)
        path = Path(temporary)
        try:
            yield path
            _sync(path)
            # mkstemp's file is readable by its owner alone.
            path.chmod(0o644)
            path.rename(target)
            _sync(target.parent)  # else a crash may undo the rename
        finally:
            path.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)

    def clear(self) -> None:
        if self.path.exists():
            shutil.rmtree(self.path)

    def below(self, name: str) -> "Folder":
        return Folder(self.path / name)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_leftovers(location: Location) -> None:
    """Removes the temporary files of a killed writer. No writer may be running."""
    # In S3 there are none: an object appears with its last byte.
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
        """Pickled without its client, which the other process makes for itself."""
        # Clients hold locks and sockets, so they cannot be pickled.
        return _bucket, (self.client.meta.region_name, self.bucket, self.prefix)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def _key(self, name: str) -> str:
        return str(PurePosixPath(self.prefix) / name)

    def names(self) -> list[str]:
        """All keys below the prefix, without the placeholders of empty folders."""
        start = f"{self.prefix}/" if self.prefix else ""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=start)
        keys = (entry["Key"] for page in pages for entry in page.get("Contents", ()))
        return sorted(key.removeprefix(start) for key in keys if not key.endswith("/"))

    def read(self, name: str) -> bytes:
        with _missing(f"{self}/{name}"):
            data: bytes = self.client.get_object(Bucket=self.bucket, Key=self._key(name))["Body"].read()
            return data

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A copy in the temporary folder (TMPDIR), which needs space for one part for each worker."""
        with tempfile.TemporaryDirectory(prefix="rowferry-") as folder:
            path = Path(folder) / "part"
            with _missing(f"{self}/{name}"):
                self.client.download_file(self.bucket, self._key(name), str(path))
            yield path

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Writes in the temporary folder, then uploads: an object appears complete."""
        with tempfile.TemporaryDirectory(prefix="rowferry-") as folder:
            path = Path(folder) / "part"
            path.touch()
            yield path
            self.client.upload_file(str(path), self.bucket, self._key(name))

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self._key(name))

    def clear(self) -> None:
        for name in self.names():
            self.remove(name)

    def below(self, name: str) -> "S3Prefix":
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
        # 404: download_file asks with HEAD first, whose answer has no body to name the error.
        if error.response["Error"]["Code"] not in _MISSING:
            raise
        raise FileNotFoundError(what) from error


def location(text: str | Path, client: Any = None) -> Location:
    """
    The location of a folder's path or of `s3://bucket/prefix`, for which `client` is needed.

    Raises Refused for any other address.
    """
    if "://" not in str(text):
        return Folder(Path(text))
    parts = urlsplit(str(text))
    if parts.scheme != "s3" or not parts.netloc or client is None:
        raise Refused(f"{text} is not a place for export files", "name a folder or s3://bucket/prefix")
    return S3Prefix(client, parts.netloc, parts.path.strip("/"))
