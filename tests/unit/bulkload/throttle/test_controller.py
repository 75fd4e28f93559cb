"""Limits shared among the workers."""

from math import inf
from typing import Any

from bulkload.throttle.controller import RateController
from bulkload.throttle.limits import Limits
from bulkload.throttle.rate import Adaptive
from bulkload.throttle.shared_counters import SharedCounters
from rowferry.control_table import ControlTable


class Control:
    """Holds one item, as a control table."""

    def __init__(self) -> None:
        self.item: dict[str, Any] = {}

    def get_item(self, **_: Any) -> Any:
        return {"Item": self.item}

    def put_item(self, **arguments: Any) -> None:
        self.item = arguments["Item"]


def test_limits_are_shared_among_the_workers() -> None:
    control = ControlTable(Control(), "control")
    counters = SharedCounters(4)
    controller = RateController(counters, 4, control, lambda: None)
    Limits(wcu=1000, rows=80).write(control)
    controller.look()
    assert (counters.units, counters.rows, controller.held) == (250, 20, None)
    counters.add(1, throttles=1)
    controller.look()
    assert controller.rate == Adaptive.LEAST
    Limits(paused=True).write(control)
    controller.look()
    assert controller.held and "paused" in controller.held and counters.rows == inf
