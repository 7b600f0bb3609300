"""Text from files that others wrote."""


def is_text(text: str) -> bool:
    """Return whether UTF-8 has all of a text: escapes in JSON and YAML can be half characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
