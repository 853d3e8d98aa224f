"""Tasks cut and joined."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from scatdask.archive.backlog import Backlog
from scatdask.archive.work import Task


def test_tasks_come_as_they_are_unless_a_size_is_asked_for():
    backlog = Backlog(iter([Task(0, 1), Task(2, 3), Task(4, 9), Task(20, 20), Task(21, 21)]))
    assert backlog.take() == Task(0, 1)
    assert backlog.take(5) == Task(2, 6)
    assert backlog.take(5) == Task(7, 9)
    assert backlog.take(5) == Task(20, 21)
    assert backlog.take(5) is None


def test_what_is_given_back_comes_first_and_is_not_joined_again():
    backlog = Backlog(iter([Task(4, 7), Task(8, 11)]))
    assert backlog.take() == Task(4, 7)
    backlog.give_back(Task(4, 5))
    backlog.give_back(Task(6, 7))
    assert [backlog.take(4) for _ in range(3)] == [Task(4, 5), Task(6, 7), Task(8, 11)]
    backlog.give_back(Task(8, 11))
    assert [backlog.take(3) for _ in range(3)] == [Task(8, 10), Task(11, 11), None]


@settings(max_examples=20)
@given(st.lists(st.booleans(), max_size=40), st.integers(1, 7), st.data())
def test_every_block_is_handed_out_once(is_todo, size, data):
    blocks = [block for block, todo in enumerate(is_todo) if todo]
    tasks = [Task(block, block) for block in blocks]
    joined = []
    for task in tasks:
        if joined and joined[-1].last + 1 == task.first and task.first % size:
            joined[-1] = Task(joined[-1].first, task.last)
        else:
            joined.append(task)
    backlog, taken = Backlog(iter(joined)), []
    while (task := backlog.take(most := data.draw(st.none() | st.integers(1, 9)))) is not None:
        assert most is None or task.last - task.first < most
        if data.draw(st.integers(0, 9)) == 0:
            backlog.give_back(task)
            continue
        taken += range(task.first, task.last + 1)
    assert sorted(taken) == blocks
