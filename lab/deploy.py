"""
Builds and deploys the real template with the real sam, against the emulated cloud.

    built = build(root, out)
    outputs = deploy(root, built, aws, "rowferry", {"Switch": "OFF"})
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.cloud import MINISTACK_PYTHON, REGION, ROOT, Cloud, tail

SAM = ROOT / "build/tools/sam/bin/sam"
SAM_BUILD = "ROWFERRY_SAM_BUILD"
"""Environment variable: the folder for the built template instead of build/sam."""


class DeployFailed(RuntimeError):
    """A sam command failed; the message ends in the tail of what it printed."""


def build(root: Path, out: Path) -> Path:
    """
    Run `sam build` for the template in `root`; return the built template.

    The result is in out/built, the cache for the next build in out/cache, sam's output in out/sam.log.
    Raises DeployFailed.
    """
    out.mkdir(parents=True, exist_ok=True)
    template = root / "template.yaml"
    # sam looks on PATH for the functions' Python by its minor version; ministack's environment has it.
    environment = {"PATH": f"{MINISTACK_PYTHON.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"}
    places: list[str | Path] = ["--build-dir", out / "built", "--cached", "--cache-dir", out / "cache"]
    run(["build", "--template-file", template, *places], root, environment, out / "sam.log")
    return out / "built/template.yaml"


def deploy(
    root: Path, built: Path, cloud: Cloud, stack: str, parameters: Mapping[str, str]
) -> Mapping[str, str]:
    """
    Run `sam deploy` for a built template; return the stack's outputs.

    Parameters that are not passed keep the value they have, as on AWS. An unchanged stack is not an error.
    Raises DeployFailed.
    """
    overrides = [f"{name}={quoted(value)}" for name, value in parameters.items()]
    run(
        [
            *("deploy", "--template-file", built, "--stack-name", stack, "--region", REGION, "--resolve-s3"),
            *("--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar"),
            *("--capabilities", "CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"),
            *(("--parameter-overrides", *overrides) if overrides else ()),
        ],
        root,
        cloud.environment,
        cloud.log.with_name(f"deploy-{stack}.log"),
    )
    described = cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}


def quoted(value: str) -> str:
    r"""Quote a parameter's value for sam, which splits arguments at blanks again and unescapes only \"."""
    escaped = value.replace('"', r"\"")
    return f'"{escaped}"'


def delete(root: Path, cloud: Cloud, stack: str) -> None:
    """
    Run `sam delete`: removes stack and artifacts, but not what the template retains. Raises DeployFailed.
    """
    command = ["delete", "--stack-name", stack, "--region", REGION, "--no-prompts"]
    run(command, root, cloud.environment, cloud.log.with_name(f"delete-{stack}.log"))


def run(command: Sequence[str | Path], root: Path, environment: Mapping[str, str], log: Path) -> None:
    """Run sam in `root` with its output in `log`. Raises DeployFailed."""
    if not SAM.exists():
        raise DeployFailed(f"sam is not installed ({SAM} is missing): run `make setup`")
    private = {"SAM_CLI_TELEMETRY": "0", "SAM_CLI_CHECK_UPDATE": "0", "AWS_EC2_METADATA_DISABLED": "true"}
    with log.open("wb") as output:
        done = subprocess.run(
            [SAM, *command],
            cwd=root,
            env={**os.environ, **environment, **private},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if done.returncode != 0:
        raise DeployFailed(f"sam {command[0]} failed with status {done.returncode}, see {log}:\n{tail(log)}")
