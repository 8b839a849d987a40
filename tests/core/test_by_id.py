import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.core.by_id import PARTS, ById

ids = st.one_of(st.integers(0, 5), st.integers(0, 2_000), st.integers(2**62, 2**64))
steps = st.lists(st.tuples(st.sampled_from(["set", "set", "delete", "pop"]), ids), max_size=80)


@given(steps)
def test_it_holds_what_a_dict_holds(steps: list[tuple[str, int]]) -> None:
    mine, plain = ById[str](), dict[int, str]()
    for number, (kind, key) in enumerate(steps):
        if kind == "set":
            mine[key] = plain[key] = str(number)
        elif kind == "pop":
            assert mine.pop(key) == plain.pop(key, None)
        elif key in plain:
            del mine[key], plain[key]
        else:
            with pytest.raises(KeyError):
                del mine[key]
            with pytest.raises(KeyError):
                mine[key]
        assert mine.get(key) == plain.get(key)
        assert (key in mine) == (key in plain)
        assert len(mine) == len(plain)
    assert bool(mine) == bool(plain)
    assert dict(mine.items()) == plain
    assert sorted(mine) == sorted(plain)
    assert sorted(mine.values()) == sorted(plain.values())


def test_two_of_them_filled_alike_are_gone_through_alike() -> None:
    """The order is no one's to rely on, but it must not differ between two engines."""
    one, other = ById[int](), ById[int]()
    for made in (one, other):
        for key in range(3, 3_000, 7):
            made[key] = key
    assert list(one) == list(other)


def test_ids_that_count_up_are_spread_evenly() -> None:
    """So that no part is ever larger than the others."""
    made = ById[int]()
    for key in range(PARTS * 10):
        made[key] = key
    in_parts = list(made)
    assert [key % PARTS for key in in_parts] == [part for part in range(PARTS) for _ in range(10)]
