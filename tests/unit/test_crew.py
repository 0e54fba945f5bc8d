"""Workers that stay: answers in order, and a task that goes wrong costs its own answer."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trust.edge.crew import AHEAD, Crew, processors
from trust.errors import KakuinError, Malformed, Misconfigured, TooLarge, Unavailable


def crew(workers: int = 2, seconds: float = 5.0, **limits: float) -> Crew[str]:
    return Crew("tests.workers:worker", b"setup", workers=workers, seconds=seconds, **limits)  # type: ignore[arg-type]


def encoded(task: str) -> bytes | None:
    return None if task == "ready" else task.encode()


def test_answers_come_in_the_order_of_the_tasks() -> None:
    tasks = ["slow a", *(f"quick {n}" for n in range(200)), "slow b", "last"]
    with crew() as hands:
        made = list(hands.answers(tasks, encoded))
    assert [task for task, _ in made] == tasks
    for task, answer in made:
        assert isinstance(answer, bytes)
        assert answer.startswith(b"setup ") and answer.endswith(task.encode())
    pids = {answer.split()[2] for _, answer in made if isinstance(answer, bytes)}
    assert len(pids) == 2, "one worker did all, or a worker was thrown away"


@pytest.mark.parametrize(
    ("task", "error", "why"),
    [
        ("crash", Malformed, "SIGSEGV"),
        ("exit", Malformed, "end without an answer"),
        ("kill", Unavailable, "short of memory"),
        ("memory", TooLarge, "memory"),
        ("loop", TooLarge, "1 seconds of processor time"),
    ],
)
def test_a_task_that_goes_wrong_costs_its_own_answer(task: str, error: type[KakuinError], why: str) -> None:
    tasks = ["one", task, "two", "three", task, "four"]
    with crew(seconds=1.0) as hands:
        made = dict(enumerate(hands.answers(tasks, encoded)))
    for at, (asked, answer) in made.items():
        assert asked == tasks[at]
        if asked == task:
            assert type(answer) is error and why in str(answer)
        else:
            assert isinstance(answer, bytes), answer


def test_a_task_that_waits_for_ever_is_ended_by_the_clock() -> None:
    with crew(workers=1, seconds=0.1, waiting=0.2) as hands:
        began = time.monotonic()
        made = list(hands.answers(["one", "sleep", "two"], encoded))
    assert time.monotonic() - began < 20
    assert [type(answer) for _, answer in made] == [bytes, TooLarge, bytes]
    assert "0.6 seconds" in str(made[1][1])


def test_large_answers_arrive_whole() -> None:
    with crew(workers=1) as hands:
        [(_, answer)] = hands.answers(["large"], encoded)
    assert answer == b"x" * (5 << 20)


def test_tasks_that_need_no_worker_keep_their_turn_and_start_none() -> None:
    with crew() as hands:
        assert list(hands.answers(["ready"] * 3, encoded)) == [("ready", b"")] * 3
        assert not hands._workers
        made = list(hands.answers(["ready", "slow", "ready", "b"], encoded))
    assert [(task, bool(answer)) for task, answer in made] == [("ready", False), ("slow", True), ("ready", False), ("b", True)]


def test_no_more_workers_are_called_than_there_are_tasks() -> None:
    with crew(workers=8) as hands:
        list(hands.answers(["a", "b"], encoded))
        assert len(hands._workers) <= 2


def test_one_that_takes_long_does_not_let_the_others_run_away() -> None:
    """Answers that wait for their turn take memory."""
    taken = 0

    def tasks() -> Iterator[str]:
        nonlocal taken
        yield "sleep"
        for n in range(100_000):
            taken = n
            yield "quick"

    with crew(workers=2, seconds=0.2) as hands:
        first = next(iter(hands.answers(tasks(), encoded)))
    assert isinstance(first[1], TooLarge)
    assert taken <= AHEAD * 2


def test_whoever_waits_for_an_answer_before_the_next_task_gets_it() -> None:
    answered: list[str] = []

    def tasks() -> Iterator[str | None]:
        for n in range(5):
            yield f"task {n}"
            while len(answered) <= n:
                yield None

    with crew() as hands:
        for task, _ in hands.answers(tasks(), encoded):
            answered.append(task)
    assert answered == [f"task {n}" for n in range(5)]


def test_closing_ends_every_worker(tmp_path: Path) -> None:
    with crew() as hands:
        answers = hands.answers(["a", "b", "loop", "loop"], encoded)
        pids = {int(answer.split()[2]) for _, answer in (next(answers), next(answers)) if isinstance(answer, bytes)}
        assert pids
        began = time.monotonic()
    assert time.monotonic() - began < 3
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


@pytest.mark.parametrize("target", ["tests.workers:broken", "tests.workers:absent", "tests.nowhere:worker"])
def test_workers_that_do_not_start_are_told(target: str) -> None:
    with Crew[str](target, b"", workers=2) as hands, pytest.raises(Misconfigured, match="did not start"):
        list(hands.answers(["a"], encoded))


def test_processors() -> None:
    assert 1 <= processors() <= 8
    assert processors(1) == 1
