"""The backends; :mod:`openhcs_core.storage.backend_registry` finds them by name."""
