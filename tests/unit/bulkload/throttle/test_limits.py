"""What an operator allows a load."""

from bulkload.throttle.limits import Limits


def test_limits_say_what_they_are() -> None:
    assert str(Limits()) == "no limits"
    assert str(Limits(wcu=4000, paused=True)) == "paused, at most 4,000 WCU/s written"
