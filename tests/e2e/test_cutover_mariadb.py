"""The cutover of a MariaDB, whose read_only is another thing than MySQL's super_read_only."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.cloud import Cloud
from lab.database import Server
from lab.rehearsal import Rehearsal
from tests.support.cutover_bed import Bed, a_bed, rehearsed, waits

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def prepared(
    mariadb_server: Server, cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Rehearsal]:
    with rehearsed(mariadb_server, cloud, tmp_path_factory.mktemp("cutover")) as rehearsal:
        yield rehearsal


@pytest.fixture
def bed(prepared: Rehearsal, tmp_path: Path) -> Iterator[Bed]:
    with a_bed(prepared, tmp_path) as made:
        yield made


def test_the_application_moves_and_mariadb_stays_fenced(bed: Bed) -> None:
    process = bed.cut_over()
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)["phase"] == bed.phase == "done"
    assert not bed.mysql_takes_writes()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_ended_behind_the_fence_mariadb_takes_writes(bed: Bed, end: signal.Signals) -> None:
    bed.waiting_hook("fenced")
    process = bed.cut_over()
    waits(bed)
    assert not bed.mysql_takes_writes()
    process.send_signal(end)
    bed.comes_back()
    bed.verified()
