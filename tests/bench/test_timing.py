"""Turns are fair, and a slower contender is seen to be slower."""

from __future__ import annotations

import time

from trous.bench.timing import LEAST_ROUNDS, interleaved, rounds


def test_every_contender_has_its_turns_and_its_place_in_the_order() -> None:
    order: list[str] = []

    def contender(name: str, seconds: float):
        def call() -> None:
            if order[-1:] != [name]:
                order.append(name)
            time.sleep(seconds)

        return call

    times = interleaved({"slow": contender("slow", 0.012), "fast": contender("fast", 0.004)}, seconds=0)
    assert 0.004 <= times["fast"] < times["slow"]
    # The order rotates, so that a block that ends one round may begin the next.
    assert order[:3] == ["slow", "fast", "slow"]
    assert LEAST_ROUNDS <= order.count("slow") + order.count("fast") <= 2 * LEAST_ROUNDS


def test_the_first_calls_of_a_block_do_not_count() -> None:
    calls = 0

    def warming() -> None:
        nonlocal calls
        time.sleep(0.02 if calls % 2 == 0 else 0.001)
        calls += 1

    assert interleaved({"only": warming}, seconds=0)["only"] < 0.015
    assert calls == 2 * LEAST_ROUNDS


def test_long_calls_take_turns() -> None:
    seen: list[str] = []
    times = rounds({"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}, 3)
    assert seen == ["a", "b"] * 3
    assert set(times) == {"a", "b"}
