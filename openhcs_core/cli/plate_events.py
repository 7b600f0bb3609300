"""A line an event of a plate, for people or for programs."""

import json
import time


def print_event(plate: str, state: str, detail: str, *, as_json: bool) -> None:
    """Print what happens to a plate, at once."""
    if as_json:
        print(json.dumps({"plate": plate, "state": state, "detail": detail}), flush=True)
        return
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    print(f"{now}  {plate}: {state}{f', {detail}' if detail else ''}", flush=True)
