"""How old what is read may be."""

from pipeline.sources.age import Age


def test_what_was_there_at_the_first_look_is_as_old_as_the_last_write() -> None:
    age = Age(None)
    assert [age.oldest(0, 200, 50, 100), age.oldest(100, 200, 50, 101)] == [50, 50]


def test_what_came_between_two_looks_came_after_the_first() -> None:
    age = Age(None)
    age.oldest(0, 10, 50, 100)
    age.caught_up(100)
    assert age.oldest(10, 20, 100.5, 101) == 100


def test_what_came_between_two_runs_came_after_the_first_run_all_of_it() -> None:
    age = Age(50)
    assert [age.oldest(start, 300, 9000, 9000 + start) for start in (0, 100, 200)] == [50, 50, 50]


def test_what_came_while_the_reader_was_held_up_is_as_old_as_that_may_make_it() -> None:
    age = Age(50)
    age.caught_up(99)
    assert age.oldest(0, 100, 100, 100) == 99
    assert age.oldest(100, 900, 8000, 8000) == 100
    assert age.oldest(500, 900, 8000, 16000) == 100


def test_a_reader_that_is_busy_but_not_held_up_stays_close_behind() -> None:
    age = Age(0)
    assert [age.oldest(10 * second, 10 * second + 10, second, second) for second in range(1, 6)] == [0, 1, 2, 3, 4]


def test_the_next_file_may_be_as_old_as_what_was_unread_of_the_one_before() -> None:
    age = Age(50)
    age.oldest(0, 100, 8000, 9000)
    age.turn()
    assert age.oldest(0, 100, 8500, 9001) == 50
    age.caught_up(9002)
    assert age.oldest(100, 200, 9003, 9003) == 9002
