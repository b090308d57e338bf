from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memguard.core.selector import LabelSelector, Requirement, satisfiable

WEB = {"app": "web", "tier": "front"}

#: Kubernetes' semantics (k8s.io/apimachinery/pkg/labels): a missing key is not in any set.
SEMANTICS = [
    ("In", ("web", "api"), True, False),
    ("In", ("api",), False, False),
    ("NotIn", ("api",), True, True),
    ("NotIn", ("web",), False, True),
    ("Exists", (), True, False),
    ("DoesNotExist", (), False, True),
]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("operator", "values", "with_label", "without_label"), SEMANTICS)
def test_operators(operator: str, values: tuple[str, ...], with_label: bool, without_label: bool) -> None:
    requirement = Requirement(key="app", operator=operator, values=values)
    assert requirement.holds(WEB) is with_label
    assert requirement.holds({"other": "x"}) is without_label


SELECTORS = [
    ({}, True),
    ({"matchLabels": {"app": "web"}}, True),
    ({"matchLabels": {"app": "web", "tier": "back"}}, False),
    ({"matchExpressions": [{"key": "tier", "operator": "NotIn", "values": ["back"]}]}, True),
    ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
    ({"matchLabels": {"missing": ""}}, False),
]


@pytest.mark.row("K2")
@pytest.mark.parametrize(("selector", "expected"), SELECTORS)
def test_every_condition_must_hold(selector: dict[str, object], expected: bool) -> None:
    made = msgspec.convert(selector, LabelSelector)
    assert made.selects(WEB) is expected
    assert made.selects_all is (selector == {})


@pytest.mark.parametrize(
    ("operator", "values"), [("In", []), ("NotIn", []), ("Exists", ["x"]), ("DoesNotExist", ["x"])]
)
def test_a_requirement_with_the_wrong_values_is_refused(operator: str, values: list[str]) -> None:
    with pytest.raises(msgspec.ValidationError, match="In and NotIn need values, Exists and DoesNotExist take none"):
        msgspec.convert({"key": "app", "operator": operator, "values": values}, Requirement)


VALUES = ("x", "y")
requirements = st.builds(
    lambda key, operator, values: Requirement(
        key=key, operator=operator, values=tuple(values) if operator in ("In", "NotIn") else ()
    ),
    st.sampled_from("ab"),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(st.sampled_from(VALUES), min_size=1, max_size=2, unique=True),
)
#: Each key missing, with every value that is listed anywhere, and with one that is not.
ALL_LABELS = [
    {key: value for key, value in zip("ab", values, strict=True) if value is not None}
    for values in product((None, *VALUES, "other"), repeat=2)
]


@given(st.lists(requirements, max_size=5))
def test_satisfiable_means_that_some_labels_satisfy(wanted: list[Requirement]) -> None:
    exists = any(all(one.holds(labels) for one in wanted) for labels in ALL_LABELS)
    assert satisfiable(wanted) is exists


@given(st.lists(requirements, max_size=5), st.dictionaries(st.sampled_from("ab"), st.sampled_from(VALUES)))
def test_labels_and_expressions_say_the_same(wanted: list[Requirement], labels: dict[str, str]) -> None:
    selector = LabelSelector(match_labels=labels, match_expressions=tuple(wanted))
    as_expressions = LabelSelector(match_expressions=selector.requirements)
    assert [selector.selects(tried) for tried in ALL_LABELS] == [as_expressions.selects(tried) for tried in ALL_LABELS]
