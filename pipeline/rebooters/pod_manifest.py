"""The pod that reboots the node it is on."""

from datetime import datetime, timedelta
from math import ceil

from pipeline.cluster.kube.api import Object
from pipeline.model.node import Node
from pipeline.rebooters.settings import PodRebooterConfig

LABELS = {"app.kubernetes.io/name": "gpu-rescue", "app.kubernetes.io/component": "rebooter"}
REQUEST = "rescue.ksyun.com/request"
"""Annotation: the request that the pod is for."""

SCRIPT = """\
trap '' TERM
read -r boot < "$PROC/sys/kernel/random/boot_id"
[ "$boot" = "$BOOT_ID" ] || { echo "nothing to do: this is boot $boot, not $BOOT_ID"; exit 0; }
[ "$(date +%s)" -lt "$NOT_AFTER" ] || { echo "nothing to do: nobody waits for this reboot any more"; exit 0; }
echo "rebooting out of boot $boot"
nsenter -t 1 -m -u -i -n -p -- systemctl reboot &
sleep "$PATIENCE"
echo "systemctl has not rebooted it; the kernel will"
echo s > "$PROC/sysrq-trigger"
sleep 5
echo b > "$PROC/sysrq-trigger"
"""
"""What it runs. It obeys in the noted boot only, so that starting it again, or creating it again, reboots nothing
twice; and only for a time, so that a node which pulls the image hours later is not rebooted out of the blue. It ignores
SIGTERM, because the shutdown that it asks for sends that, and may hang afterwards."""


def pod(name: str, node: Node, request: str, config: PodRebooterConfig, now: datetime) -> Object:
    """Return it as JSON: bound to the node whatever its taints, and run once."""
    told = {
        "PROC": "/proc",
        "BOOT_ID": node.boot_id,
        "NOT_AFTER": str(int((now + config.valid).timestamp())),
        "PATIENCE": str(_seconds(config.patience)),
    }
    container = {
        "name": "reboot",
        "image": config.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", SCRIPT],
        "env": [{"name": key, "value": value} for key, value in told.items()],
        "securityContext": {"privileged": True},
    }
    spec: Object = {
        "nodeName": node.name,
        "hostPID": True,
        "restartPolicy": "Never",
        "tolerations": [{"operator": "Exists"}],
        "activeDeadlineSeconds": _seconds(config.valid + config.patience) + 60,
        "terminationGracePeriodSeconds": _seconds(config.patience) + 60,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "containers": [container],
    }
    if config.priority_class is not None:
        spec["priorityClassName"] = config.priority_class
    metadata = {"name": name, "labels": LABELS, "annotations": {REQUEST: request}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_of(found: Object, node: Node, request: str) -> bool:
    """Whether a pod that is there is the one for this request."""
    asked_for = found["metadata"].get("annotations", {}).get(REQUEST)
    return bool(found["spec"].get("nodeName") == node.name and asked_for == request)


def _seconds(time: timedelta) -> int:
    return ceil(time.total_seconds())
