"""What a watch tells of rescues, in whatever order it and the answers to our own calls arrive."""

from dataclasses import replace

from pipeline.execute.store_cache import StoreCache
from pipeline.execute.store_kube_objects import Seen
from pipeline.execute.store_kube_seen import SeenRescues
from pipeline.model.rescue import Rescue
from tests.fakes.faults import rescue

NAME = "gpu-1-xid-79-abc"


def at(revision: int, **given: object) -> Rescue:
    return replace(rescue(), revision=revision, **given)  # type: ignore[arg-type]


def seen(revision: int, condemned: bool = False) -> Seen:
    return Seen(NAME, revision, at(revision), "", True, condemned, ("rescue.ksyun.com/clean-up",))


def test_an_answer_that_comes_after_the_deletion_shows_nothing() -> None:
    cache = StoreCache()
    shown = SeenRescues(cache)
    shown.changed(seen(5))
    shown.deleted(seen(7))
    shown.saved(at(6))
    shown.changed(seen(6))
    shown.made(at(6))
    assert cache.get(NAME) is None
    assert list(shown.guarded) == []


def test_one_that_was_made_again_is_not_taken_for_the_one_that_was_deleted() -> None:
    cache = StoreCache()
    shown = SeenRescues(cache)
    shown.made(at(5))
    shown.made(at(9))
    shown.deleted(seen(7))
    assert cache.get(NAME) == at(9)
    assert list(shown.guarded) == [NAME]


def test_what_a_list_lacks_is_doubted_not_forgotten() -> None:
    cache = StoreCache()
    shown = SeenRescues(cache)
    shown.made(at(5))
    shown.listed([])
    assert cache.get(NAME) == at(5)
    assert shown.doubted.get_nowait() == NAME


def test_one_that_somebody_wants_deleted_is_told_of_to_whoever_waits() -> None:
    cache = StoreCache()
    shown = SeenRescues(cache)
    shown.made(at(5))
    before = cache.generation
    shown.changed(seen(6, condemned=True))
    assert cache.condemned() == [at(6)]
    assert cache.generation > before
