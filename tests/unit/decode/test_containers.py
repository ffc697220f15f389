"""What a container prints is nobody's word but its own, unless the operator says that it passes the kernel's log on."""

import json

import pytest

from pipeline.decode.envelopes import Decoder
from pipeline.decode.settings import DecodeSettings
from pipeline.model.line import LogLine
from tests.unit.decode.conftest import RECEIVED

TEXT = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."
SYSLOG = f"Jul  4 11:09:40 f-04 kernel: {TEXT}"
DMESG = f"[Thu Jul  4 11:09:40 2024] {TEXT}"
FILE = "/var/log/containers/{pod}_{namespace}_{container}-" + "a" * 64 + ".log"


def read(payload: str, *kernel_containers: str) -> LogLine:
    settings = DecodeSettings(kernel_containers=kernel_containers)
    (line,) = Decoder(settings).decode(payload.encode(), "p", received=RECEIVED).lines
    return line


def record(text: str = TEXT, **fields: object) -> str:
    return json.dumps({"host": "gpu-1", "log": text, **fields})


def of_pod(text: str, container: str = "app", namespace: str = "team-a", **fields: object) -> str:
    pod = {"pod_name": "job-0", "namespace_name": namespace, "container_name": container}
    return record(text, kubernetes=pod, **fields)


CONTAINERS = {
    "Fluent Bit's metadata": of_pod(TEXT),
    "Fluent Bit's metadata, dmesg -T": of_pod(DMESG),
    "Fluent Bit's metadata, a line of syslog": of_pod(SYSLOG),
    "a container that prints what looks like the kernel's device": of_pod(f"3,1,2,-;{TEXT}"),
    "Filebeat's metadata": record(kubernetes={"pod": {"name": "p"}, "container": {"name": "app"}}),
    "OpenTelemetry's metadata": record(**{"k8s.pod.name": "p"}),
    "Docker's fields": record(container_name="/app", container_id="f00d"),
    "ECS's fields": record(container={"id": "f00d"}),
    "Docker's json-file": record(stream="stdout"),
    "the journal of Docker": record(CONTAINER_NAME="app", CONTAINER_ID="f00d", _TRANSPORT="journal"),
    "a file of the kubelet's, in the container runtime's framing": f"2024-07-04T03:09:40Z stdout F {TEXT}",
    "the framing inside a record": record(f"2024-07-04T03:09:40Z stderr F {SYSLOG}"),
    "a file of the kubelet's, by its path": record(
        log={"file": {"path": FILE.format(pod="p", namespace="n", container="app")}}, message=TEXT
    ),
    "a file of the kubelet's, by its other path": record(filename="/var/log/pods/n_p_1-2-3/app/0.log"),
    "a file of Docker's, by its path": record(filename="/var/lib/docker/containers/f00d/f00d-json.log"),
    "a record that claims the kernel's facility": of_pod(TEXT, facility="kern", _TRANSPORT="kernel"),
}


@pytest.mark.parametrize("payload", CONTAINERS.values(), ids=CONTAINERS)
def test_what_a_container_prints_is_not_the_kernels(payload: str) -> None:
    line = read(payload)
    assert (line.text, line.from_kernel) == (TEXT, False)


@pytest.mark.parametrize(
    "path", ["/var/log/messages", "/var/log/kern.log", "/dev/kmsg", "/var/log/pods.log", "/srv/containers/kern.log"]
)
def test_the_path_of_another_file_names_no_container(path: str) -> None:
    assert read(record(log={"file": {"path": path}}, message=TEXT)).from_kernel is None


NAMED = {
    "Fluent Bit's metadata": of_pod(TEXT, "dmesg", "kube-system"),
    "dmesg -T": of_pod(DMESG, "dmesg", "kube-system"),
    "the stream beside it": of_pod(TEXT, "dmesg", "kube-system", stream="stdout"),
    "in the container runtime's framing": of_pod(f"2024-07-04T03:09:40Z stdout F {TEXT}", "dmesg", "kube-system"),
    "Filebeat's metadata": record(
        kubernetes={"namespace": "kube-system", "pod": {"name": "p"}, "container": {"name": "dmesg"}}
    ),
    "Vector's metadata": record(kubernetes={"pod_namespace": "kube-system", "container_name": "dmesg"}),
    "OpenTelemetry's metadata": record(**{"k8s.namespace.name": "kube-system", "k8s.container.name": "dmesg"}),
    "the path alone": record(
        log={"file": {"path": FILE.format(pod="dmesg-x7k", namespace="kube-system", container="dmesg")}}, message=TEXT
    ),
    "the other path alone": record(filename="/var/log/pods/kube-system_dmesg-x7k_1-2-3/dmesg/0.log"),
}


@pytest.mark.parametrize("payload", NAMED.values(), ids=NAMED)
@pytest.mark.parametrize("named", ["dmesg", "kube-system/dmesg"])
def test_a_container_that_the_operator_names_is_no_reason_against(payload: str, named: str) -> None:
    line = read(payload, "other", named)
    assert (line.text, line.from_kernel) == (TEXT, None)


def test_docker_writes_names_with_a_slash() -> None:
    assert read(record(container_name="/dmesg", container_id="f00d"), "dmesg").from_kernel is None


def test_what_a_named_container_passes_on_may_say_that_it_is_the_kernels() -> None:
    assert read(of_pod(f"<3>{TEXT}", "dmesg"), "dmesg").from_kernel is True
    assert read(of_pod(f"3,1,2,-;{TEXT}", "dmesg"), "dmesg").from_kernel is True
    assert read(of_pod(f"<86>Jul  4 11:09:40 a sshd[77]: {TEXT}", "dmesg"), "dmesg").from_kernel is False
    assert read(of_pod(f"<13>{TEXT}", "dmesg"), "dmesg").from_kernel is False
    assert read(of_pod(f"node is sick: {TEXT}", "dmesg"), "dmesg").from_kernel is False


OTHERS = {
    "another container": of_pod(TEXT, "app", "kube-system"),
    "another namespace's container of that name": of_pod(TEXT, "dmesg", "team-a"),
    "no namespace": record(container_name="dmesg"),
    "a pod of that name": record(kubernetes={"pod_name": "dmesg", "namespace_name": "kube-system"}),
    "what only claims to come from it": of_pod(
        json.dumps({"kubernetes": {"container_name": "dmesg", "namespace_name": "kube-system"}, "msg": TEXT})
    ),
    "what claims it in a container's file": "2024-07-04T03:09:40Z stdout F "
    + json.dumps({"kubernetes": {"container_name": "dmesg", "namespace_name": "kube-system"}, "msg": TEXT}),
    "what claims it beside its own name": of_pod(
        TEXT, **{"kubernetes.container_name": "dmesg", "container_name": "dmesg"}
    ),
}


@pytest.mark.parametrize("payload", OTHERS.values(), ids=OTHERS)
def test_no_other_container_is_believed(payload: str) -> None:
    assert read(payload, "kube-system/dmesg").from_kernel is False


USERS = {
    "logger, as syslog sends it": (f"<13>Jul  4 11:09:40 f-05 kernel: {TEXT}", False),
    "logger, by RFC 5424": (f"<13>1 2024-07-04T11:09:40Z f-05 kernel - - - {TEXT}", False),
    "logger, as rsyslog's JSON has it": (
        record(syslogtag="kernel:", programname="kernel", **{"syslogfacility-text": "user"}),
        False,
    ),
    "logger, by the number": (record(syslogfacility="1", syslogtag="kernel:"), False),
    "logger, by the priority": (record(pri="13", ident="kernel"), False),
    "Logstash's name of it": (record(facility_label="user-level", program="kernel"), False),
    "ECS's": (record(log={"syslog": {"facility": {"code": 1}, "appname": "kernel"}}, message=TEXT), False),
    "logger, that writes to /dev/kmsg": (f"12,1,2,-;{TEXT}", False),
    "dmesg -x of it": (f"user  :err   : {TEXT}", False),
    "a user who prints the kernel's priority": (f"<13>Jul  4 11:09:40 f-05 kernel: <3>{TEXT}", False),
    "imfile's of /var/log/kern.log": (record(syslogtag="kernel:", **{"syslogfacility-text": "local0"}), None),
    "imfile's, as syslog sends it": (f"<133>Jul  4 11:09:40 f-05 kernel: {TEXT}", None),
    "the kernel": (record(syslogtag="kernel:", **{"syslogfacility-text": "kern"}), True),
}


@pytest.mark.parametrize(("payload", "from_kernel"), USERS.values(), ids=USERS)
def test_the_facility_of_users_is_not_the_kernels(payload: str, from_kernel: bool | None) -> None:
    line = read(payload)
    assert (line.text, line.from_kernel) == (TEXT, from_kernel)


@pytest.mark.parametrize("name", ["", "a/b/c", "/dmesg", "kube-system/", " "])
def test_a_name_that_no_container_has_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="kernel_containers"):
        DecodeSettings.model_validate({"kernel_containers": [name]})
