"""The Spark session of the load: that of spark-submit, or a local one on this machine."""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rowferry.errors import Refused

MOST_LINES = 256
"""Lines in a batch. A line may be as long as an item, and a task has some batches in memory."""

_LOG = Path(__file__).with_name("log4j2.properties")
_SETTINGS = {
    "spark.speculation": "false",  # a second copy of a running task would write everything twice
    "spark.sql.execution.arrow.maxRecordsPerBatch": str(MOST_LINES),
    "spark.ui.showConsoleProgress": "false",
}
# Loopback only: Spark's own choice is the address of the machine's name.
_HERE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false",
    # Quoted: the checkout's path may have blanks.
    "spark.driver.extraJavaOptions": f'"-Dlog4j2.configurationFile={_LOG}"',
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A session. `local`: it runs on this machine only. `tasks`: how many run at once; 0 is unlimited."""

    session: Any
    local: bool
    tasks: int


def start(name: str) -> Cluster:
    """Starts or finds the session. Raises Refused where pyspark or Java is missing."""
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise Refused(
            "--spark needs pyspark, which is not installed",
            "in a checkout: `make spark`, then build/tools/spark/bin/ferry; or let spark-submit run it"
            " (docs/spark.md)",
        ) from error
    builder: Any = SparkSession.builder
    for setting, value in _SETTINGS.items():
        builder = builder.config(setting, value)
    if not _submitted():
        builder = _here(builder)
    session = builder.appName(name).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    context = session.sparkContext
    return Cluster(session, _is_local(context), _tasks(context))


def _submitted() -> bool:
    # spark-submit sets it for the driver that it starts.
    return "PYSPARK_GATEWAY_PORT" in os.environ


def _here(builder: Any) -> Any:
    if not shutil.which("java") and not os.environ.get("JAVA_HOME"):
        raise Refused("Spark needs Java 17 or later, which is not installed", "install it, or set JAVA_HOME")
    # Else the tasks run with the first python3 on PATH, which may lack the project.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    for setting, value in _HERE.items():
        builder = builder.config(setting, value)
    return builder.master("local[*]")


def _is_local(context: Any) -> bool:
    """Whether tasks run in the driver's process; local-cluster[...] has other processes, on this machine."""
    return bool(context.master == "local" or context.master.startswith("local["))


def _tasks(context: Any) -> int:
    if _is_local(context):
        return int(context.defaultParallelism)
    settings = context.getConf()
    dynamic = settings.get("spark.dynamicAllocation.enabled", "false") == "true"
    most = "spark.dynamicAllocation.maxExecutors" if dynamic else "spark.executor.instances"
    executors = settings.get(most, "0")
    cores = int(settings.get("spark.executor.cores", "1")) // int(settings.get("spark.task.cpus", "1"))
    # Spark's own default of maxExecutors is the word `infinity`.
    return (int(executors) if executors.isdigit() else 0) * max(1, cores)
