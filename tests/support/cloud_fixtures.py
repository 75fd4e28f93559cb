"""Fixtures for tests against the emulated AWS: one process for the whole session."""

from collections.abc import Iterator

import pytest

from lab.cloud import MINISTACK_PYTHON, Cloud
from lab.cloud import cloud as run_cloud
from lab.deploy import SAM


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    missing = [str(tool) for tool in (MINISTACK_PYTHON, SAM) if not tool.exists()]
    if missing:
        pytest.fail(f"{' and '.join(missing)} missing: run `make setup`", pytrace=False)
    with run_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture
def fresh_cloud(cloud: Cloud) -> Cloud:
    cloud.reset()
    return cloud
