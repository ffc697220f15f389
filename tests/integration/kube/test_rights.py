"""The pipeline as the chart installs it, with no more than the rights of its service account: all of them are used,
and with one less a call that it makes is refused. What was asked, and whether it was allowed, is the audit log's word.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pipeline.cluster.kube.answers import ForbiddenError
from pipeline.cluster.kube.api import KubeApi, Object
from pipeline.cluster.kube.rights import ACTING, SEEING, Need, announcing, keeping, missing_rights, rebooting
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import reading
from tests.integration.kube.all_parts import LIMIT, VALUES, calls_of, everything, fault, pipeline, rescue_of
from tests.integration.kube.charting import Right, rights
from tests.integration.kube.released import AGENTS, OURS, Installed, installed
from tests.integration.kube.roles import roles, without
from tests.services.folders import temporary_folder
from tests.services.kube.nodes import NODES, create_node, reaches
from tests.services.kube.waiting import until

ONLY_TO_ACT = (*ACTING, rebooting(OURS))
NEEDS = (
    *SEEING,
    *keeping(OURS),
    announcing(OURS),
    reading(EventsSourceConfig(type="events", namespace=AGENTS)),
    *ONLY_TO_ACT,
)


@pytest.fixture(scope="module")
def release(helm: Path) -> Iterator[Installed]:
    """A release whose pipeline has been through all its parts."""
    with temporary_folder("release") as folder, installed(helm, folder, VALUES) as found:
        asyncio.run(everything(found, folder))
        yield found


@pytest.fixture(scope="module", autouse=True)
def asked(release: Installed) -> list[Object]:
    """What the pipeline has asked for on the way, before any test has taken a right away."""
    return release.asked()


def _rights(needs: Iterable[Need]) -> set[Right]:
    return {(need.group, need.resource, verb, need.namespace) for need in needs for verb in need.verbs}


def _is_use(asked: Object, need: Need, verb: str) -> bool:
    """Whether a request is what the right is for."""
    about = asked["objectRef"]
    resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
    somewhere = need.namespace in ("", about.get("namespace"))
    return somewhere and (about.get("apiGroup", ""), resource, asked["verb"]) == (need.group, need.resource, verb)


async def _repeat(ours: KubeApi, asked: Object) -> None:
    """Make the same call once more; it is refused before anybody looks at what goes with it."""
    path = urlsplit(asked["requestURI"]).path
    match asked["verb"]:
        case "get" | "list":
            await ours.get(path)
        case "watch":
            await anext(ours.watch(path, {}, LIMIT))
        case "create":
            await ours.create(path, {})
        case "update":
            await ours.replace(path, {})
        case "patch":
            await ours.patch(path, {})
        case "delete":
            await ours.delete(path)


async def _lack(release: Installed, lost: set[str]) -> None:
    """Return when just these rights lack: who decides learns of a changed role a moment later."""

    async def gone() -> bool:
        return set(await missing_rights(ours, NEEDS)) == lost

    async with calls_of(release.kubeconfig) as ours:
        await until(gone)


def _decisions(asked: Iterable[Object]) -> set[str]:
    return {each["annotations"]["authorization.k8s.io/decision"] for each in asked}


def test_nothing_that_the_pipeline_asks_for_is_forbidden(asked: list[Object]) -> None:
    assert _decisions(asked) == {"allow"}


async def test_it_has_these_rights_and_no_other(release: Installed) -> None:
    async with calls_of(release.plane.kubeconfig) as admin:
        assert set(rights(await roles(admin))) == _rights(NEEDS)


@pytest.mark.parametrize(
    ("need", "verb"), [pytest.param(need, verb, id=need.right(verb)) for need in NEEDS for verb in need.verbs]
)
async def test_each_right_is_used_and_without_it_that_call_is_refused(
    need: Need, verb: str, release: Installed, asked: list[Object]
) -> None:
    used = next((each for each in asked if _is_use(each, need, verb)), None)
    assert used is not None, "nothing needs it"
    lost: Right = need.group, need.resource, verb, need.namespace
    async with (
        calls_of(release.plane.kubeconfig) as admin,
        calls_of(release.kubeconfig) as ours,
        without(admin, [lost]),
    ):
        await _lack(release, {need.right(verb)})
        with pytest.raises(ForbiddenError, match=f'cannot {verb} resource "{need.resource}"'):
            await _repeat(ours, used)


async def test_a_rescue_that_lacks_a_right_fails_and_names_it(release: Installed, tmp_path: Path) -> None:
    async with calls_of(release.plane.kubeconfig) as admin, without(admin, [("", "nodes", "patch", "")]):
        await _lack(release, {"patch nodes"})
        await create_node(admin, "unlucky")
        async with pipeline(release, tmp_path):
            await fault(admin, "unlucky", 79, datetime.now(UTC))
            status = (await rescue_of(admin, "unlucky"))["status"]
    assert (status["state"], status["reason"]) == ("Failed", "refused")
    assert 'cannot patch resource "nodes"' in status["journal"][-1]["message"]


async def test_a_rehearsal_needs_no_right_to_act(release: Installed, tmp_path: Path) -> None:
    before = len(release.asked())
    async with calls_of(release.plane.kubeconfig) as admin, without(admin, _rights(ONLY_TO_ACT)):
        await _lack(release, {need.right(verb) for need in ONLY_TO_ACT for verb in need.verbs})
        await create_node(admin, "rehearsed")
        await reaches(admin, "rehearsed", "True")
        async with pipeline(release, tmp_path, "--set", "dry_run=true"):
            await fault(admin, "rehearsed", 79, datetime.now(UTC))
            rescue = await rescue_of(admin, "rehearsed")
        out, errors = await _checked(release, tmp_path, "--set", "dry_run=true")
        assert not (await admin.get(f"{NODES}/rehearsed"))["spec"].get("unschedulable")
    assert (rescue["spec"]["dryRun"], rescue["status"]["state"]) == (True, "Succeeded")
    assert _decisions(release.asked()[before:]) == {"allow"}
    assert (errors, "cluster (kubernetes): ok" in out) == ("", True)


async def test_the_check_finds_nothing_missing(release: Installed, tmp_path: Path) -> None:
    out, errors = await _checked(release, tmp_path)
    assert (errors, "cluster (kubernetes): ok" in out) == ("", True)


async def _checked(release: Installed, folder: Path, *words: str) -> tuple[str, str]:
    """Return what `gpu-rescue check --online` says, and what it finds wrong."""
    pipe = asyncio.subprocess.PIPE
    command = release.command("check", folder, "--online", *words)
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, env=release.environment, stdout=pipe, stderr=pipe
    )
    out, errors = await asyncio.wait_for(process.communicate(), LIMIT)
    return out.decode(), errors.decode()
