"""Label selectors with Kubernetes' semantics: every requirement must hold, and no requirement selects everything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from msgspec import Meta

from memguard.core.model import Record

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist"]

#: What a label's value may be (k8s.io/apimachinery/pkg/util/validation).
LabelValue = Annotated[str, Meta(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
#: A prefix of at most 253 characters, a slash, and a name of at most 63.
LabelKey = Annotated[str, Meta(min_length=1, max_length=317)]


class Requirement(Record, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One condition on a label. NotIn and DoesNotExist also hold where the label is missing."""

    key: Annotated[LabelKey, Meta(description="The label's key.")]
    operator: Annotated[Operator, Meta(description="How the label's value relates to the values listed here.")]
    values: Annotated[
        tuple[LabelValue, ...],
        Meta(max_length=64, description="The values that In and NotIn compare with; the others take none."),
    ] = ()

    def __post_init__(self) -> None:
        if (self.operator in ("In", "NotIn")) != bool(self.values):
            raise ValueError("In and NotIn need values, Exists and DoesNotExist take none")

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Is it true of these labels?"""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class LabelSelector(Record, frozen=True, kw_only=True):
    """Which objects are meant, by their labels."""

    match_labels: Annotated[
        dict[LabelKey, LabelValue], Meta(max_length=64, description="Labels that must all be there with these values.")
    ] = {}
    match_expressions: Annotated[
        tuple[Requirement, ...], Meta(max_length=32, description="Further conditions; all of them must hold.")
    ] = ()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """All conditions in one form."""
        equal = (Requirement(key=key, operator="In", values=(value,)) for key, value in self.match_labels.items())
        return (*equal, *self.match_expressions)

    @property
    def selects_all(self) -> bool:
        """Is there no condition at all?"""
        return not (self.match_labels or self.match_expressions)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Is an object with these labels meant?"""
        return all(requirement.holds(labels) for requirement in self.requirements)


def satisfiable(requirements: Iterable[Requirement]) -> bool:
    """Are there labels for which all of these hold?"""
    by_key: dict[str, list[Requirement]] = {}
    for requirement in requirements:
        by_key.setdefault(requirement.key, []).append(requirement)
    return all(_compatible(group) for group in by_key.values())


def _compatible(group: list[Requirement]) -> bool:
    """Is there a value, or no value, of their one key for which all hold?"""
    operators = {requirement.operator for requirement in group}
    if operators.isdisjoint(("In", "Exists")):
        return True
    if "DoesNotExist" in operators:
        return False
    within = [set(requirement.values) for requirement in group if requirement.operator == "In"]
    barred = {value for requirement in group if requirement.operator == "NotIn" for value in requirement.values}
    return not within or not set.intersection(*within) <= barred
