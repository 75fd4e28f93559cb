from capturer.reading import LONGEST_PAUSE, reconnect_pause


def test_the_pauses_before_connecting_again_grow_to_the_longest_and_never_fail() -> None:
    pauses = [reconnect_pause(failures, share=1.0) for failures in range(5000)]
    assert pauses[:4] == [0.25, 0.5, 1.0, 2.0] and set(pauses[6:]) == {LONGEST_PAUSE}
    assert reconnect_pause(5000, share=0.0) == LONGEST_PAUSE / 2
