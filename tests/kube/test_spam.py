from memguard.kube.spam import Buckets


def test_a_burst_and_then_one_at_a_time() -> None:
    buckets = Buckets(burst=3, refill_seconds=10)
    assert [buckets.take("a", 0) for _ in range(5)] == [True, True, True, False, False]
    assert buckets.take("b", 0)
    assert not buckets.take("a", 9)
    assert buckets.take("a", 10)
    assert not buckets.take("a", 11)
    assert [buckets.take("a", 1000) for _ in range(4)] == [True, True, True, False]


def test_only_so_many_are_remembered() -> None:
    buckets = Buckets(burst=1, refill_seconds=1e9, objects=2)
    for who in ("a", "b", "c"):
        assert buckets.take(who, 0)
    assert not buckets.take("c", 0)
    assert not buckets.take("b", 0)
    assert buckets.take("a", 0)
