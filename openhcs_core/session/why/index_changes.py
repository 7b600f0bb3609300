"""What is other on the plate than a well's earlier index says."""

from typing import Any

from openhcs_core.session.why.reasons import ImageChange, ImagesChanged


def find_image_changes(old: Any, new: Any) -> ImagesChanged | None:
    """Return what differs between two indices of a well, None when nothing does.

    Parameters
    ----------
    old, new : mapping
        As ``index/<well>.json`` has them.
    """
    before = {name: entry for name, *entry in old["images"]}
    now = {name: entry for name, *entry in new["images"]}
    changes = ImagesChanged(
        is_known=True,
        changed=tuple(
            _change(name, before[name], now[name])
            for name in now
            if name in before and before[name] != now[name]
        ),
        added=tuple(name for name in now if name not in before),
        removed=tuple(name for name in before if name not in now),
        channels=tuple(
            channel
            for channel in sorted(old["channels"].keys() | new["channels"].keys())
            if old["channels"].get(channel) != new["channels"].get(channel)
        ),
    )
    return None if changes == ImagesChanged(is_known=True) else changes


def _change(name: str, old: list[Any], new: list[Any]) -> ImageChange:
    (old_path, old_size, old_mtime), (path, new_size, new_mtime) = old, new
    return ImageChange(
        name=name,
        old_path=old_path,
        path=path,
        old_size_bytes=old_size,
        new_size_bytes=new_size,
        old_mtime_ns=old_mtime,
        new_mtime_ns=new_mtime,
    )
