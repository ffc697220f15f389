"""Rescues on a real API server: what people see and do with kubectl, and what replicas see of each other."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.errors import ConflictError, NotFoundError, TemporaryError
from pipeline.execute.progress import cancelled, done, held, started
from pipeline.execute.saved import FORMAT
from pipeline.execute.store_kube import KubernetesStore
from pipeline.execute.store_kube_form import CLEAN_UP, occurrence_object
from pipeline.execute.store_kube_objects import RescueObjects
from pipeline.execute.store_kube_occurrences import OccurrenceObjects
from pipeline.execute.store_kube_settings import KubernetesStoreConfig
from pipeline.model.rescue import CancelReason, HoldReason, Rescue
from pipeline.telemetry import UNREADABLE_RESCUES
from tests.conformance.test_occurrences import KNOWN, seen
from tests.fakes.faults import NOON, rescue
from tests.integration.kube.stores import cleaned_up, replica
from tests.services.kube.plane import ControlPlane, KubectlError
from tests.services.kube.waiting import until

NAME = "gpu-1-xid-79-abc"


@pytest.fixture
async def store(rescue_api: KubeApi, namespace: str) -> AsyncIterator[KubernetesStore]:
    async with replica(rescue_api, namespace) as opened:
        yield opened


@pytest.fixture
async def other(rescue_api: KubeApi, namespace: str, store: KubernetesStore) -> AsyncIterator[KubernetesStore]:
    """Another replica's store."""
    async with replica(rescue_api, namespace) as opened:
        yield opened


async def shows(store: KubernetesStore, rescue: Rescue) -> None:
    async def there() -> bool:
        return store.get(rescue.name) == rescue

    await until(there)


async def forgets(store: KubernetesStore, name: str) -> None:
    async def gone() -> bool:
        return store.get(name) is None

    await until(gone)


def ended(one: Rescue, recorded: bool = True) -> Rescue:
    over = cancelled(one, NOON, CancelReason.DELETED, "gpu-1: somebody has deleted it")
    return replace(over, recorded=len(over.journal)) if recorded else over


def path(namespace: str, kind: str = "rescues", name: str = NAME) -> str:
    return f"/apis/rescue.ksyun.com/v1/namespaces/{namespace}/{kind}/{name}"


# What people see and do.


async def test_kubectl_get_rescues_is_a_dashboard(
    store: KubernetesStore, namespace: str, rescue_kinds: ControlPlane
) -> None:
    await store.create(rescue("a-new-one"))
    created = await store.create(rescue("b-at-work", "gpu-2"))
    await store.save(started(created, 0, NOON))
    created = await store.create(rescue("c-held", "gpu-3"))
    await store.save(held(created, NOON, HoldReason.MAX_NODES, "gpu-3: it waits"))
    head, *rows = rescue_kinds.kubectl("get", "rsc", "-n", namespace).splitlines()
    assert head.split() == ["NAME", "NODE", "CODE", "POLICY", "STEP", "STATE", "REASON", "AGE"]
    # An empty column shows as blanks.
    assert [row.split()[:-1] for row in rows] == [
        ["a-new-one", "gpu-1", "79", "test", "Pending"],
        ["b-at-work", "gpu-2", "79", "test", "cordon", "Running"],
        ["c-held", "gpu-3", "79", "test", "Held", "max-nodes"],
    ]


async def test_kubectl_describe_rescue_tells_the_story(
    store: KubernetesStore, namespace: str, rescue_kinds: ControlPlane
) -> None:
    one = started(await store.create(rescue()), 0, NOON)
    await store.save(done(one, 0, NOON, "gpu-1: cordoned", {"left_cordoned": False}))
    told = rescue_kinds.kubectl("describe", "rescue", NAME, "-n", namespace)
    story = told[told.rindex("Journal:") :]
    places = [story.find(entry.message) for entry in store.all()[0].journal]
    assert -1 not in places
    assert places == sorted(places)


async def test_what_a_rescue_was_created_for_never_changes(
    store: KubernetesStore, namespace: str, rescue_kinds: ControlPlane
) -> None:
    await store.create(rescue())
    for edit in ({"node": "gpu-9"}, {"cause": {"fault": {"message": "another"}}}, {"later": 1}):
        with pytest.raises(KubectlError, match="what a rescue was created for never changes"):
            words = ("patch", "rescue", NAME, "-n", namespace, "--type=merge", "-p", json.dumps({"spec": edit}))
            rescue_kinds.kubectl(*words)


async def test_an_open_rescue_that_is_deleted_is_condemned_until_it_has_ended_and_is_recorded(
    store: KubernetesStore, other: KubernetesStore, namespace: str, rescue_kinds: ControlPlane
) -> None:
    created = await store.create(rescue())
    await store.create(rescue("another", "gpu-2"))
    rescue_kinds.kubectl("delete", "rescue", NAME, "-n", namespace, "--wait=false")

    async def condemned() -> bool:
        return [[one.name for one in each.condemned()] for each in (store, other)] == [[NAME], [NAME]]

    await until(condemned)
    await store.clean_up(NOON)
    newest = await store.fetch(created.name)
    assert newest is not None
    unrecorded = await store.save(ended(newest, recorded=False))
    assert store.condemned() == []
    await store.clean_up(NOON)
    assert await store.fetch(NAME) == unrecorded
    await store.save(replace(unrecorded, recorded=len(unrecorded.journal)))
    await cleaned_up(store, NAME, NOON)
    await forgets(other, NAME)
    assert await store.fetch(NAME) is None
    assert [one.name for one in store.all()] == ["another"]


async def test_an_ended_rescue_is_deleted_at_once(
    store: KubernetesStore, namespace: str, rescue_kinds: ControlPlane
) -> None:
    await store.save(ended(await store.create(rescue())))
    await store.clean_up(NOON)
    assert store.get(NAME) is not None
    rescue_kinds.kubectl("delete", "rescue", NAME, "-n", namespace, "--timeout=20s")
    await forgets(store, NAME)


async def test_finalizers_of_others_stay(store: KubernetesStore, namespace: str, rescue_api: KubeApi) -> None:
    await store.create(rescue())
    await rescue_api.patch(path(namespace), {"metadata": {"finalizers": [CLEAN_UP, "example.com/audit"]}})
    found = await store.fetch(NAME)
    assert found is not None
    await store.save(ended(found))
    await store.clean_up(NOON)
    assert (await rescue_api.get(path(namespace)))["metadata"]["finalizers"] == ["example.com/audit"]


# What replicas see of each other.


async def test_what_one_replica_writes_the_others_show(store: KubernetesStore, other: KubernetesStore) -> None:
    created = await store.create(rescue())
    await shows(other, created)
    saved = await other.save(started(created, 0, NOON))
    await shows(store, saved)
    with pytest.raises(ConflictError):
        await store.save(replace(created, count=2))


async def test_a_create_made_again_finds_its_own_as_it_is_by_now(
    store: KubernetesStore, other: KubernetesStore
) -> None:
    saved = await store.save(started(await store.create(rescue()), 0, NOON))
    assert await other.create(rescue()) == saved


async def test_a_replica_that_starts_shows_all_before_it_is_synced(
    store: KubernetesStore, rescue_api: KubeApi, namespace: str
) -> None:
    made = [await store.create(rescue(f"r-{number}")) for number in range(20)]
    await store.note(seen("a"))
    async with replica(rescue_api, namespace) as late:
        assert list(late.all()) == sorted(made, key=lambda one: one.name)
        assert late.occurrence("a") == seen("a")


async def test_what_is_deleted_is_gone_everywhere(
    store: KubernetesStore, other: KubernetesStore, namespace: str, rescue_api: KubeApi
) -> None:
    saved = await store.save(ended(await store.create(rescue())))
    await shows(other, saved)
    await store.clean_up(NOON)
    await rescue_api.delete(path(namespace))
    await forgets(other, NAME)
    with pytest.raises(NotFoundError, match="is gone"):
        await other.save(saved)
    again = await other.create(rescue())
    await shows(store, again)
    assert [one.name for one in store.open()] == [NAME]


async def test_a_deletion_that_the_watch_has_missed_is_found_when_all_is_listed_again(
    store: KubernetesStore, namespace: str, rescue_api: KubeApi
) -> None:
    deaf = KubernetesStore(KubernetesStoreConfig(type="kubernetes"), rescue_api, namespace)
    created = await deaf.create(rescue())
    over = await deaf.save(ended(created))
    await deaf.clean_up(NOON)
    await rescue_api.delete(path(namespace))
    assert deaf.get(NAME) is not None and over.name == NAME
    following = asyncio.create_task(deaf.run())
    await forgets(deaf, NAME)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)


# What is kept.


async def test_ended_rescues_are_deleted_when_they_are_old_and_open_ones_never(
    rescue_api: KubeApi, namespace: str
) -> None:
    async with replica(rescue_api, namespace, kept=timedelta(days=1)) as store:
        await store.create(rescue("open"))
        await store.save(ended(await store.create(rescue("old"))))
        await store.save(ended(await store.create(rescue("unrecorded")), recorded=False))
        await store.clean_up(NOON + timedelta(hours=23))
        assert await store.fetch("old") is not None
        await store.clean_up(NOON + timedelta(days=2))
        assert await store.fetch("old") is None
        assert {one.name for one in store.all()} == {"open", "unrecorded"}


async def test_of_too_many_ended_ones_the_server_keeps_the_newest(rescue_api: KubeApi, namespace: str) -> None:
    async with replica(rescue_api, namespace, kept_ended=2) as store:
        for minutes in range(5):
            one = ended(await store.create(rescue(f"r-{minutes}")))
            await store.save(replace(one, ended=NOON + timedelta(minutes=minutes)))
        await store.clean_up(NOON)
        await store.clean_up(NOON)
    async with replica(rescue_api, namespace) as late:
        assert [one.name for one in late.all()] == ["r-3", "r-4"]


async def test_occurrences_that_are_forgotten_are_deleted(
    store: KubernetesStore, rescue_api: KubeApi, namespace: str
) -> None:
    await store.note(seen("old"))
    await store.note(seen("new", timedelta(days=31)))
    await store.clean_up(NOON)
    async with replica(rescue_api, namespace) as late:
        assert [one.name for one in late.occurrences(KNOWN)] == ["new"]
    with pytest.raises(NotFoundError):
        await rescue_api.get(path(namespace, "occurrences", "old"))


async def test_replicas_that_note_one_occurrence_at_once_span_the_time_of_all(
    store: KubernetesStore, other: KubernetesStore
) -> None:
    parts = [seen("a", timedelta(hours=hour), timedelta(hours=hour + 1)) for hour in range(6)]
    await asyncio.gather(*((store, other)[number % 2].note(part) for number, part in enumerate(parts)))
    whole = seen("a", timedelta(0), timedelta(hours=6))

    async def both() -> bool:
        return store.occurrence("a") == whole == other.occurrence("a")

    await until(both)


# What cannot be read.


async def damage(api: KubeApi, namespace: str, status: Object) -> Object:
    return await api.patch(f"{path(namespace)}/status", {"status": status})


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        pytest.param({"state": "Resting"}, "it cannot be read: state", id="damaged by hand"),
        pytest.param({"format": 99}, "a later version has saved it, in format 99", id="of a later version"),
    ],
)
async def test_a_rescue_that_cannot_be_read_is_told_of_once_counted_and_skipped(
    store: KubernetesStore, rescue_api: KubeApi, namespace: str, edit: Object, told: str
) -> None:
    saved = await store.save(started(await store.create(rescue()), 0, NOON))
    good = await store.create(rescue("another", "gpu-2"))
    with capture_logs() as logs:
        await damage(rescue_api, namespace, edit)
        await forgets(store, NAME)
        await damage(rescue_api, namespace, {"count": 2})
        assert await store.fetch(NAME) is None
        assert await store.create(rescue()) is not None
    assert [log["error"].startswith(told) for log in logs if log["event"] == "rescue.unreadable"] == [True]
    assert list(store.all()) == [good]
    assert UNREADABLE_RESCUES._value.get() == 1
    await damage(rescue_api, namespace, {"state": "Running", "format": FORMAT, "count": 1})
    found = await store.fetch(NAME)
    assert found is not None
    assert replace(found, revision=saved.revision) == saved
    assert UNREADABLE_RESCUES._value.get() == 0


async def test_an_occurrence_that_cannot_be_read_stops_nobody(
    store: KubernetesStore, rescue_api: KubeApi, namespace: str
) -> None:
    body = occurrence_object(seen("a"), namespace)
    body["spec"]["format"] = 99
    await rescue_api.create(f"/apis/rescue.ksyun.com/v1/namespaces/{namespace}/occurrences", body)
    await store.note(seen("a"))
    await store.note(seen("b"))
    assert [one.name for one in store.occurrences(KNOWN)] == ["a", "b"]
    kept = await rescue_api.get(path(namespace, "occurrences", "a"))
    assert kept["spec"]["format"] == 99


@pytest.mark.parametrize(
    ("user", "told"),
    [
        pytest.param("admin", 'namespaces "nowhere" not found', id="the namespace lacks"),
        pytest.param("restricted", 'User "restricted" cannot', id="a right lacks"),
    ],
)
async def test_what_a_person_must_mend_is_waited_for(rescue_kinds: ControlPlane, user: str, told: str) -> None:
    file = rescue_kinds.kubeconfig_for(rescue_kinds.users[user].token)
    api = KubeApi(KubernetesClusterConfig(type="kubernetes", kubeconfig=file))
    try:
        with pytest.raises(TemporaryError, match=told):
            await RescueObjects(api, "nowhere").create(rescue(name=NAME))
        with pytest.raises(TemporaryError, match=told):
            await OccurrenceObjects(api, "nowhere").note(seen("a"))
    finally:
        await api.close()
