"""Planes read into one array reach the first function as that array."""

import numpy as np
import pytest

from openhcs_core.runtime.stacks import find_stack


@pytest.fixture
def stack():
    return np.arange(24, dtype=np.uint16).reshape(2, 3, 4).copy()


def test_all_slices_in_order_are_their_stack(stack):
    assert find_stack(list(stack)) is stack
    assert find_stack([stack[0:1][0], stack[1]]) is stack


def test_anything_else_is_no_stack(stack):
    assert find_stack([stack[1], stack[0]]) is None
    assert find_stack([stack[0]]) is None
    assert find_stack([stack[0], stack[0]]) is None
    assert find_stack([stack[0], stack[1].copy()]) is None
    assert find_stack([plane.copy() for plane in stack]) is None
    assert find_stack([plane[:, ::-1] for plane in stack]) is None
    assert find_stack([plane.view(np.int16) for plane in stack]) is None
    assert find_stack([plane[:2] for plane in stack]) is None
    assert find_stack(list(stack.transpose(0, 2, 1))) is None
    assert find_stack(list(np.asfortranarray(stack))) is None


def test_memory_that_may_not_be_written_is_not_handed_on(stack):
    stack.flags.writeable = False
    assert find_stack(list(stack)) is None
    assert find_stack(list(np.frombuffer(bytes(48), np.uint16).reshape(2, 3, 4))) is None
