"""What of the latest report takes the place of the committed one."""

from bench.kernel.docs import merged

BEFORE = {"kernel": {"commit": "a"}, "tests": {"commit": "a", "figures": {"soak": 1, "churn": 2}}}


def test_each_section_is_the_latest() -> None:
    whole = {"commit": "b", "figures": {"soak": 3, "churn": 4, "more": 5}}
    assert merged(BEFORE, {"tests": whole, "costs": {}}) == {"kernel": {"commit": "a"}, "tests": whole, "costs": {}}
    assert merged({}, {"tests": whole}) == {"tests": whole}


def test_what_a_few_tests_told_does_not_take_the_place_of_all() -> None:
    assert merged(BEFORE, {"tests": {"commit": "b", "figures": {"soak": 3}}}) == BEFORE
    assert merged(BEFORE, {"kernel": {"commit": "b"}}) == BEFORE | {"kernel": {"commit": "b"}}
