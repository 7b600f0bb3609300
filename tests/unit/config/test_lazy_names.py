"""Names of the config room that are imported when they are asked for."""

import pytest

import openhcs_core.config


def test_every_name_is_there():
    for name in openhcs_core.config.__all__:
        assert getattr(openhcs_core.config, name) is not None


def test_there_are_no_others():
    with pytest.raises(AttributeError, match=r"'openhcs_core\.config' has no attribute 'Settings'"):
        openhcs_core.config.Settings  # noqa: B018  asking for it is the test
