"""The Helm chart: what it renders, what of that the API server and the pipeline take, and which values it refuses."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.app import needs
from pipeline.cluster.kube.settings import KubernetesClusterConfig
from pipeline.settings import read_settings
from pipeline.sources.events.settings import EventsSourceConfig
from pipeline.sources.events.source import reading
from tests.integration.kube.charting import CHART, LIMIT, Chart, Object, configuration, one, rights
from tests.services.kube.plane import ControlPlane

BROKERS: dict[str, Any] = {"kafka": {"bootstrapServers": ["kafka-1:9092"]}}
SITE: dict[str, Any] = {
    "replicas": 3,
    "dryRun": True,
    "kafka": {
        "bootstrapServers": ["kafka-1:9093"],
        "sasl": {"mechanism": "SCRAM-SHA-512", "username": "u", "passwordSecret": {"name": "kafka-password"}},
        "tls": {"enabled": True, "secret": "kafka-tls", "clientCertificate": True},
    },
    "records": {
        "type": "elasticsearch",
        "elasticsearch": {
            "hosts": ["https://es-1:9200"],
            "auth": {"apiKeySecret": {"name": "es-key"}},
            "caSecret": {"name": "es-ca"},
        },
        "spool": {"storageClass": "fast"},
    },
    "patterns": {"own.yaml": "rules: []\n"},
    "policies": {"site": {"rules": [{"priority": 1, "actions": [{"name": "drain"}]}]}},
    "warmStandbyPolicies": {"site": {"matches": [{"originNode": {"a": "b"}, "targetNode": {"a": "b"}}]}},
    "config": {"guards": {"max_nodes": 3}, "lease": {"retry_period": "1s"}, "store": {"kept": "7day"}},
    "rebooter": {"type": "pod", "image": "busybox:1.37"},
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d"},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "networkPolicy": {"from": [{"namespaceSelector": {}}], "egress": [{"ports": [{"port": 443, "protocol": "TCP"}]}]},
    "image": {"pullSecrets": ["registry"]},
    "priorityClassName": "system-cluster-critical",
    "nodeSelector": {"pool": "system"},
    "tolerations": [{"key": "system", "operator": "Exists"}],
}
PASSWORD = {
    **BROKERS,
    "replicas": 1,
    "records": {
        "type": "elasticsearch",
        "elasticsearch": {
            "hosts": ["http://es-1:9200"],
            "auth": {"username": "u", "passwordSecret": {"name": "es-password"}},
        },
    },
    "api": {"address": "[::]", "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"]}},
    "networkPolicy": {"enabled": False},
}
EVENTS = {
    "nodeEvents": {"enabled": True, "namespace": "default"},
    "events": {"language": "en"},
    "serviceAccount": {"create": False, "name": "default"},
    "affinity": {"nodeAffinity": {}},
}
SETS = [
    pytest.param(BROKERS, id="no more than brokers"),
    pytest.param(SITE, id="everything of a site"),
    pytest.param(PASSWORD, id="a password, one replica and a load balancer"),
    pytest.param(EVENTS, id="events of an agent instead of Kafka"),
]

SERVICE_MONITOR = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "servicemonitors.monitoring.coreos.com"},
    "spec": {
        "group": "monitoring.coreos.com",
        "scope": "Namespaced",
        "names": {"kind": "ServiceMonitor", "plural": "servicemonitors"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                },
            }
        ],
    },
}


def _pod(objects: list[Object]) -> Object:
    spec: Object = one(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("values", SETS)
def test_helm_finds_nothing_wrong_with_it(values: Object, chart: Chart) -> None:
    done = chart("lint", values, "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", SETS)
def test_the_api_server_takes_every_object(values: Object, chart: Chart, kube: ControlPlane, namespace: str) -> None:
    for path in sorted((CHART / "crds").glob("*.yaml")):
        kube.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(path))
    kube.kubectl("apply", "-f", "-", input=json.dumps(SERVICE_MONITOR))
    kube.kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    objects = chart.objects({**values, "namespace": {"name": namespace}}, "-n", namespace)
    told = kube.kubectl("create", "--dry-run=server", "-f", "-", input=yaml.safe_dump_all(objects))
    assert told.count("created (server dry run)") == len(objects) > 8


def test_the_api_server_takes_the_namespace(chart: Chart, kube: ControlPlane) -> None:
    found = one(chart.objects({**SITE, "namespace": {"name": "rescue-of-the-chart"}}), "Namespace")
    assert "created" in kube.kubectl("create", "--dry-run=server", "-f", "-", input=yaml.safe_dump(found))
    assert found["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert found["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


@pytest.mark.parametrize("values", SETS)
def test_the_pipeline_takes_its_configuration(values: Object, chart: Chart, tmp_path: Path) -> None:
    objects = chart.objects(values)
    config = configuration(objects)
    file = tmp_path / "pipeline.yaml"
    file.write_text(config)
    settings = read_settings(file, environment={})
    assert isinstance(settings.cluster, KubernetesClusterConfig)
    assert settings.dry_run == values.get("dryRun", False)
    assert settings.guards.max_nodes == values.get("config", {}).get("guards", {}).get("max_nodes", 5)


@pytest.mark.parametrize("values", SETS)
def test_the_check_finds_nothing_wrong_with_it(values: Object, chart: Chart, tmp_path: Path) -> None:
    patterns = tmp_path / "patterns"
    patterns.mkdir()
    for name, text in values.get("patterns", {}).items():
        (patterns / name).write_text(text)
    file = tmp_path / "pipeline.yaml"
    file.write_text(configuration(chart.objects(values)).replace("/etc/gpu-rescue/patterns", str(patterns)))
    command = [sys.executable, "-m", "pipeline.cli", "check", "-c", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("values", SETS)
def test_every_file_that_the_configuration_names_is_mounted(values: Object, chart: Chart) -> None:
    objects = chart.objects(values)
    config = configuration(objects)
    named = {word for word in config.replace("- ", " ").split() if word.startswith("/")}
    (container,) = _pod(objects)["containers"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert named
    assert not [path for path in named if not any(f"{path}/".startswith(f"{mount}/") for mount in mounts)]
    volumes = {volume["name"] for volume in _pod(objects)["volumes"]}
    assert volumes == {mount["name"] for mount in container["volumeMounts"]}


def test_the_pods_may_do_as_little_as_they_need(chart: Chart) -> None:
    pod = _pod(chart.objects(BROKERS))
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_pods_prefer_nodes_without_gpus_and_tolerate_nothing(chart: Chart) -> None:
    pod = _pod(chart.objects(BROKERS))
    (preferred,) = pod["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    asked = preferred["preference"]["matchExpressions"]
    assert {"key": "nvidia.com/gpu.present", "operator": "DoesNotExist"} in asked
    assert "tolerations" not in pod


def test_a_service_beside_it_is_not_taken_for_its_settings(chart: Chart) -> None:
    assert not _pod(chart.objects(BROKERS))["enableServiceLinks"]


REBOOTER: Object = {**BROKERS, "rebooter": {"type": "pod", "image": "busybox:1.37"}}
NOTES: dict[str, tuple[Object, bool]] = {
    "nothing reboots": ({**BROKERS, "namespace": {"create": False}}, False),
    "pods reboot, in a namespace of the release's": (REBOOTER, False),
    "pods reboot, in a namespace of somebody else's": ({**REBOOTER, "namespace": {"create": False}}, True),
}


@pytest.mark.parametrize(("values", "told"), NOTES.values(), ids=NOTES)
def test_who_installs_it_is_told_what_a_privileged_pod_needs(
    values: Object, told: bool, chart: Chart, own_kube: ControlPlane
) -> None:
    # On one that all share other tests have made the namespace, which no release could then take for its own.
    done = chart("install", values, "--dry-run=client", "--kubeconfig", str(own_kube.kubeconfig))
    assert "kubectl exec -n default deploy/gr-gpu-rescue -- gpu-rescue check" in done.stdout, done.stderr
    label = "kubectl label namespace kce-rescue-system pod-security.kubernetes.io/enforce=privileged"
    assert (label in done.stdout) == told


def test_without_values_no_policy_is_installed_and_nothing_may_reboot(chart: Chart) -> None:
    objects = chart.objects(BROKERS)
    assert not [each for each in objects if each["apiVersion"].startswith("rescue.ksyun.com")]
    rights = [rule for each in objects if each["kind"] in {"Role", "ClusterRole"} for rule in each["rules"]]
    assert not [rule for rule in rights if "pods" in rule["resources"] and "create" in rule["verbs"]]


def test_the_rescues_namespace_is_not_created_where_it_is_the_releases_own(chart: Chart) -> None:
    objects = chart.objects(BROKERS, "-n", "kce-rescue-system")
    assert "Namespace" not in {each["kind"] for each in objects}


def test_a_changed_configuration_is_another_pod(chart: Chart) -> None:
    pods = [one(chart.objects({**BROKERS, "dryRun": dry}), "Deployment")["spec"]["template"] for dry in (True, False)]
    assert pods[0]["metadata"]["annotations"] != pods[1]["metadata"]["annotations"]


@pytest.mark.parametrize("values", SETS)
def test_the_pods_have_the_rights_that_the_pipeline_needs_and_no_other(
    values: Object, chart: Chart, tmp_path: Path
) -> None:
    objects = chart.objects(values)
    file = tmp_path / "pipeline.yaml"
    file.write_text(configuration(objects))
    # A rehearsal has those of who acts: what was begun before it must find them when it is over.
    settings = read_settings(file, ["dry_run=false"], environment={})
    assert isinstance(settings.cluster, KubernetesClusterConfig)
    sources = (reading(source) for source in settings.sources if isinstance(source, EventsSourceConfig))
    needed = {
        (need.group, need.resource, verb, need.namespace)
        for need in (*needs(settings, settings.cluster), *sources)
        for verb in need.verbs
    }
    assert set(rights(objects)) == needed


REFUSED: dict[str, tuple[Object, str]] = {
    "no source": ({}, "kafka.bootstrapServers: name the brokers"),
    "a third party": ({"decision": "external"}, "at '/decision': value must be 'policies'"),
    "no replica": ({"replicas": 0}, "at '/replicas': minimum: got 0, want 1"),
    "a misspelt value": ({"dryrun": True}, "additional properties 'dryrun' not allowed"),
    "a broker without a port": (
        {"kafka": {"bootstrapServers": ["kafka"]}},
        "at '/kafka/bootstrapServers/0': 'kafka' does not match",
    ),
    "KLog": ({"records": {"type": "klog"}}, "must be one of 'elasticsearch', 'file'"),
    "an Elasticsearch without servers": (
        {**BROKERS, "records": {"type": "elasticsearch"}},
        "records.elasticsearch.hosts: name the servers",
    ),
    "a password in a URL": (
        {"records": {"elasticsearch": {"hosts": ["https://u:p@es"]}}},
        "at '/records/elasticsearch/hosts/0'",
    ),
    "a load balancer for everybody": (
        {**BROKERS, "api": {"service": {"type": "LoadBalancer"}}},
        "say which networks may reach the API",
    ),
    "a user of Kafka without a password": (
        {"kafka": {**BROKERS["kafka"], "sasl": {"mechanism": "PLAIN", "username": "u"}}},
        "kafka.sasl.passwordSecret.name: name the Secret",
    ),
    "a pod that reboots, of no image": ({**BROKERS, "rebooter": {"type": "pod"}}, "rebooter.image: name the image"),
    "a section that the chart writes itself": (
        {"config": {"sinks": []}},
        "at '/config': additional properties 'sinks' not allowed",
    ),
    "a policy without rules": ({"policies": {"a": {}}}, "at '/policies/a': missing property 'rules'"),
}


@pytest.mark.parametrize(("values", "told"), REFUSED.values(), ids=REFUSED)
def test_wrong_values_are_refused_with_a_sentence(values: Object, told: str, chart: Chart) -> None:
    done = chart("template", values)
    assert done.returncode != 0
    assert told in done.stderr


def test_every_value_is_described_and_every_description_has_its_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def check(place: str, described: Object, value: Any) -> None:
        assert place == "" or "description" in described, place
        if isinstance(value, dict) and described.get("additionalProperties") is False:
            properties = {key: each for key, each in described["properties"].items() if place or key != "global"}
            if place == "/config":
                return
            assert properties.keys() == value.keys(), place
            for key, each in properties.items():
                check(f"{place}/{key}", each, value[key])

    check("", schema, values)
