"""Guards taken out on purpose: a check that still passes without the guard it is about proves nothing."""

from importlib import import_module

import pytest

from pipeline.model.guard import Guard


def take_out(monkeypatch: pytest.MonkeyPatch, *guards: Guard) -> None:
    """Let neither the gate nor admission ask these guards; each of them must have been asked by one at least."""
    asked: set[Guard] = set()
    for room in ("gate", "admission"):
        module = import_module(f"pipeline.decide.{room}")
        asked |= {guard for guard, _ in module.GUARDS}
        kept = tuple((guard, question) for guard, question in module.GUARDS if guard not in guards)
        monkeypatch.setattr(module, "GUARDS", kept)
    assert asked.issuperset(guards)
