"""Finds the stack, the source and the mapping of a command."""

import os
import zipfile
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from bulkload.connection import connect
from rowferry.control_table import ControlTable
from rowferry.errors import Refused
from rowferry.mapping import Mapping
from rowferry.mysql.address import Address

_ROOT = Path(__file__).resolve().parent.parent
FUNCTIONS: Any = zipfile.Path(_ROOT, "functions/") if _ROOT.is_file() else _ROOT / "functions"
"""The folder of the mapping files: also in the archive that Spark ships."""
EXAMPLE = "mysql://rowferry@db.example.com:3306"


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed stack: CloudFormation's status, outputs and parameters by name."""

    name: str
    status: str
    outputs: Dict[str, str]
    parameters: Dict[str, str]

    @property
    def switch_is_on(self) -> bool:
        """Whether the consumer applies changes."""
        return self.output("SwitchState") == "ON"

    def output(self, name: str) -> str:
        """One output. Raises Refused when there is none of that name: the stack is of another template."""
        if name not in self.outputs:
            raise Refused(
                f"stack {self.name} has no output {name}",
                "name a Rowferry stack with --stack, or deploy it again",
            )
        return self.outputs[name]


def find_stack(cloudformation: Any, name: str) -> Stack:
    """The stack of that name. Raises Refused when there is none."""
    try:
        found = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        # CloudFormation's answer where there is no such stack; it has no code of its own for that.
        if error.response["Error"]["Code"] != "ValidationError":
            raise
        raise Refused(
            f"there is no stack {name} in this account and region",
            "deploy it with `sam deploy`, or name another with --stack or ROWFERRY_STACK",
        ) from error
    return Stack(
        name,
        found["StackStatus"],
        {entry["OutputKey"]: entry["OutputValue"] for entry in found.get("Outputs", [])},
        {entry["ParameterKey"]: entry["ParameterValue"] for entry in found.get("Parameters", [])},
    )


def source_address(text: str | None, password_file: Path | None, environ: Dict[str, str]) -> Address:
    """
    Parses `mysql://user@host:port?ca=FILE`, or ROWFERRY_SOURCE.

    Raises Refused for another address, and for one with a password: command lines are visible to others.
    """
    text = text or environ.get("ROWFERRY_SOURCE")
    if not text:
        raise Refused("no source is named", f"pass --source {EXAMPLE} or set ROWFERRY_SOURCE")
    try:
        parts = urlsplit(text)
        port = 3306 if parts.port is None else parts.port
        if not port:
            raise ValueError("port 0")
    except ValueError as error:
        raise Refused(f"the source's address is not understood ({error})", f"write {EXAMPLE}") from error
    options = parse_qs(parts.query, keep_blank_values=True)
    if parts.password is not None:
        raise Refused(
            "the source's address contains a password, which others on this machine can read",
            "leave it out; use ROWFERRY_SOURCE_PASSWORD or --password-file",
        )
    if (
        parts.scheme not in ("mysql", "mariadb")
        or not parts.hostname
        or not parts.username
        or options.keys() - {"ca"}
    ):
        raise Refused(
            "the source's address is not understood", f"write {EXAMPLE} (and ?ca=FILE to check its TLS)"
        )
    return Address(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username),
        password=_password(password_file, environ),
        ca=options["ca"][0] if "ca" in options else None,
    )


def _password(file: Path | None, environ: Dict[str, str]) -> str:
    if file is None:
        return environ.get("ROWFERRY_SOURCE_PASSWORD", "")
    try:
        # The file's line end only: blanks may belong to the password.
        return file.read_text(encoding="utf-8").rstrip("\n")
    except OSError as error:
        raise Refused(
            f"{file}: {error.strerror}", "name a readable file that contains the password"
        ) from error


class Context:
    """
    What a command needs, from its arguments and the environment. Each is looked up at its first use, then
    kept.
    """

    def __init__(self, arguments: Any, environ: Dict[str, str] = os.environ) -> None:
        self._arguments = arguments
        self.environ = environ

    def client(self, service: str, **config: Any) -> Any:
        """A boto3 client; `config`: settings of botocore's Config."""
        region = self.region
        settings = Config(**{"max_pool_connections": 64, **config})
        return boto3.client(service, region_name=region, config=settings)  # type: ignore[call-overload]

    @property
    def region(self) -> str | None:
        """AWS_REGION, which boto3 does not read (only AWS_DEFAULT_REGION); None: boto3's default."""
        return self.environ.get("AWS_REGION")

    @cached_property
    def stack(self) -> Stack:
        """The stack of --stack, ROWFERRY_STACK or `rowferry`."""
        name = self._arguments.stack or self.environ.get("ROWFERRY_STACK") or "rowferry"
        return find_stack(self.client("cloudformation"), name)

    @cached_property
    def dynamodb(self) -> Any:
        """
        The DynamoDB client, without botocore's validation of arguments, which takes longer than sending them.
        """
        return self.client("dynamodb", parameter_validation=False)

    @cached_property
    def control(self) -> ControlTable:
        return ControlTable(self.dynamodb, self.stack.output("ControlTableName"))

    @cached_property
    def mapping_file(self) -> Path:
        """The file of --mapping, or the one that the stack's consumer uses."""
        given = self._arguments.mapping
        file: Path = given or FUNCTIONS / self.stack.parameters.get("MappingFile", "purchase.toml")
        return file

    @cached_property
    def mapping(self) -> Mapping:
        """The mapping. Raises MappingError."""
        return Mapping.load(self.mapping_file)

    @cached_property
    def has_source(self) -> bool:
        """Whether a source is named. `source` raises Refused where not."""
        return bool(self._arguments.source or self.environ.get("ROWFERRY_SOURCE"))

    @cached_property
    def source(self) -> Address:
        return source_address(self._arguments.source, self._arguments.password_file, self.environ)

    def connect(self) -> Any:
        """
        A connection to the source that reads values as the capturer does; errors as
        bulkload.connection.connect.
        """
        return connect(self.source)
