"""The specs of the policies: harmless defaults, bounds, and no drift from the core that they configure."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.core.policies import CLUSTER, TENANT

from memguard.core.policies import (
    ClusterMemoryGuardPolicySpec,
    FactorName,
    MemoryGuardPolicySpec,
    Signal,
    Treatment,
)
from memguard.core.policy import GUARD_SETTINGS, Budget, Rule
from memguard.core.score import WEIGHTS


@pytest.mark.row("K5")
def test_every_default_is_harmless() -> None:
    for treatment in (Treatment(), MemoryGuardPolicySpec(), ClusterMemoryGuardPolicySpec().defaults):
        assert treatment.mode == "Observe"
        assert not treatment.limit.guard
        assert treatment.actions == Rule().actions


def test_the_defaults_are_the_guards() -> None:
    spec = ClusterMemoryGuardPolicySpec()
    assert spec.settings.reserve_cap_bytes == GUARD_SETTINGS.reserve_cap_bytes
    assert spec.settings.margin_bytes == GUARD_SETTINGS.margin_bytes
    for name in ("reserve_ratio", "relief_ratio", "horizon_seconds", "patience_seconds", "margin_ratio"):
        assert getattr(spec.settings, name) == getattr(GUARD_SETTINGS, name)
    for field in msgspec.structs.fields(Budget):
        assert getattr(spec.budget, field.name) == field.default


def test_the_factors_are_the_scores() -> None:
    assert get_args(FactorName) == tuple(WEIGHTS)


def test_every_signal_can_be_answered_and_sent() -> None:
    import signal

    from memguard.guard.config import UNHEARD_SIGNALS

    assert set(get_args(Signal)) <= signal.Signals.__members__.keys() - set(UNHEARD_SIGNALS)


@pytest.mark.row("K2")
@pytest.mark.parametrize(
    ("kind", "spec"),
    [*((MemoryGuardPolicySpec, spec) for spec in TENANT), *((ClusterMemoryGuardPolicySpec, spec) for spec in CLUSTER)],
)
def test_what_is_out_of_bounds_is_no_policy(kind: Any, spec: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(spec, kind)


SIZES = [("512Mi", 512 << 20), (1024, 1024), ("1.5Gi", 3 << 29), ("0", 0)]


@pytest.mark.parametrize(("written", "count_bytes"), SIZES)
def test_sizes_are_quantities(written: object, count_bytes: int) -> None:
    spec = msgspec.convert({"settings": {"reserveCap": written, "margin": written}}, ClusterMemoryGuardPolicySpec)
    assert spec.settings.reserve_cap_bytes == spec.settings.margin_bytes == count_bytes


@given(st.sampled_from([MemoryGuardPolicySpec, ClusterMemoryGuardPolicySpec]))
def test_a_policy_survives_being_written_down(kind: Any) -> None:
    assert msgspec.json.decode(msgspec.json.encode(kind()), type=kind) == kind()
