from rowferry.renewals import RenewalWatch


def test_a_first_look_says_nothing_yet() -> None:
    assert RenewalWatch().look((1, 5), 100.0) == 0


def test_the_time_counts_from_the_look_that_showed_the_last_change() -> None:
    watch = RenewalWatch()
    assert [watch.look(renewal, at) for renewal, at in [(1, 10), (1, 14), (2, 15), (2, 29), (1, 30)]] == [
        0, 4, 0, 14, 0,
    ]  # fmt: skip
    assert watch.since == 30


def test_who_relies_on_the_owner_counts_from_the_look_before() -> None:
    watch = RenewalWatch()
    watch.look(7, float("-inf"))
    assert watch.since == float("-inf"), "one look proves no life"
    watch.look(8, 10.0)
    assert watch.since == 10.0
