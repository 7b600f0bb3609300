"""The order of names with numbers in them is natsort's."""

from hypothesis import given
from hypothesis import strategies as st
from natsort import natsort_key

from openhcs_core.planes import natural_key

plain = st.text("abYZ019", max_size=8)


@given(st.one_of(plain, st.text(max_size=8), st.from_regex(r"[A-Z]{1,2}[0-9]{2}", fullmatch=True)))
def test_keys_are_those_of_natsort(text):
    assert natural_key(text) == natsort_key(text)


@given(st.lists(st.one_of(plain, st.text("a1 -_é", max_size=4))))
def test_names_are_in_the_order_of_natsort(names):
    assert sorted(names, key=natural_key) == sorted(names, key=natsort_key)
