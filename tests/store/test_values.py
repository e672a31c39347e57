import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rung.store.values import dumps, loads, to_bytes

numbers = st.integers() | st.floats() | st.booleans() | st.none() | st.text(st.characters(codec=None, exclude_categories=()))
keys = st.text().filter(lambda key: not key.startswith("$"))
values = st.recursive(numbers, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20)


def same(a: object, b: object) -> bool:
    """Compare to the bit: types, the sign of zero, NaN with itself, the order of keys."""
    return repr(a) == repr(b)


@given(values)
def test_every_value_comes_back_exactly(value):
    assert same(loads(dumps(value)), value)
    assert same(loads(to_bytes(dumps(value, indent=1))), value)


@given(values)
def test_the_text_is_json_that_any_reader_takes(value):
    def refuse(word):
        raise ValueError(word)

    json.loads(to_bytes(dumps(value)).decode("utf-8"), parse_constant=refuse)


def test_floats_that_are_not_finite_are_written_by_name():
    assert dumps([math.inf, -math.inf, math.nan]) == '[{"$float": "inf"}, {"$float": "-inf"}, {"$float": "nan"}]'


def test_keys_that_would_change_are_refused():
    with pytest.raises(TypeError, match="the key 1 is not text"):
        dumps({"a": {1: 2}})


def test_other_types_are_refused():
    with pytest.raises(TypeError, match="set"):
        dumps({"a": {1, 2}})


def test_deep_nesting_is_a_value_error():
    with pytest.raises(ValueError, match="nested too deeply"):
        loads("[" * 200_000)
