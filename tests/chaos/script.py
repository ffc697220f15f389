"""What drivers say, in the families in which they say it, and the policies that are in force now and then."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spoken:
    """One line; `GPU` stands for the address. A companion goes with the line before it, and is not counted."""

    text: str
    companion: bool = False

    def on(self, gpu: int) -> str:
        """The line as it is of one GPU of a node."""
        return self.text.replace("GPU)", f"0000:{gpu:02x}:00)").replace("at GPU:", f"at 0000:{gpu:02x}:00.0:")


def _xid(code: int, message: str) -> Spoken:
    return Spoken(f"NVRM: Xid (PCI:GPU): {code}, pid='<unknown>', name=<unknown>, {message}")


FAMILIES: tuple[tuple[Spoken, ...], ...] = (
    (_xid(79, "GPU has fallen off the bus."),),
    (_xid(48, "DBE"), _xid(63, "Row remapping"), _xid(94, "Contained"), _xid(45, "Ch 1"), _xid(45, "Ch 2")),
    (_xid(48, "DBE"), _xid(95, "Uncontained"), _xid(154, "GPU recovery action changed from 0x0 (None) to 0x2 (Node)")),
    (_xid(74, "NVLink: fatal error detected"), _xid(45, "Ch 1")),
    (_xid(13, "Graphics Exception"), Spoken(_xid(45, "Ch 9 caused by previous Xid 13").text, companion=True)),
    (_xid(149, "NETIR_INT Fatal XC0 i0 Link 01 (0x0000 0x0000)"), _xid(74, "NVLink: fatal error detected")),
    (_xid(149, "NETIR_INT Fatal XC0 i1 Link 01 (0x0000 0x0000)"),),
    (_xid(31, "MMU Fault"),),
    (_xid(63, "Row remapping"),),
    (_xid(901, "nobody knows what this is"),),
    (_xid(154, "GPU recovery action changed from 0x2 (Node) to 0x0 (None)"),),
    (Spoken("nvidia-nvswitch0: SXid (PCI:GPU): 12028, Fatal, Link 32 egress error"),),
    (Spoken("nvidia-nvswitch0: SXid (PCI:GPU): 20034, Fatal, Link 3 LTSSM"), _xid(74, "NVLink: fatal error")),
)

_REBOOT = 'name: reboot, attribute: {unCordon: "true"}'


def _policy(name: str, codes: str, actions: str, more: str = "", dry_run: bool = False, priority: int = 10) -> str:
    named = f"errorCode: [{codes}], " if codes else ""
    return f"""
apiVersion: rescue.ksyun.com/v1
kind: RescuePolicy
metadata: {{name: {name}}}
spec:
  dryRun: {str(dry_run).lower()}
  rules: [{{priority: {priority}, {named}{more}actions: [{actions}]}}]
"""


_DRAIN = '{name: cordon}, {name: drain, attribute: {waittime: "3min", onTimeout: FORCE}}'.replace("FORCE", "force")
_TRAIN = 'nodeSelector: {operator: "any", labels: {app: train}}, '

POLICIES: dict[str, str] = {
    "everything": _policy("everything", "", f"{_DRAIN}, {{{_REBOOT}}}", priority=1),
    "reboot": _policy("reboot", '"79", "154:2"', f"{_DRAIN}, {{{_REBOOT}}}"),
    "reboot-and-leave": _policy("leave", '"48"', "{name: cordon}, {name: drain}, {name: reboot}", priority=12),
    "standby": _policy(
        "standby", '"74", "class:reboot"', f"{{name: enableWarmStandby}}, {_DRAIN}, {{{_REBOOT}}}", _TRAIN, priority=11
    ),
    "offline": _policy(
        "offline",
        '"95"',
        "{name: cordon}, {name: drain, attribute: {waittime: 1min, onTimeout: continue}}, {name: offline}",
        priority=20,
    ),
    "rehearsed": _policy("rehearsed", '"79", "74"', f"{_DRAIN}, {{{_REBOOT}}}", _TRAIN, dry_run=True, priority=30),
    "repeated": _policy(
        "repeated", '"63", "31", "45"', f"{_DRAIN}, {{{_REBOOT}}}", "repeat: {count: 3, within: 24h}, ", priority=15
    ),
}
