"""Damage to files as accidents and attackers do it: the same for the same random numbers."""

import json
import struct
from copy import deepcopy
from random import Random

NUMBERS = (
    b"0 -1 1 255 65536 2147483648 99999999999999999999 1e308 -0.0 NaN INF 0x10 1_000 1e-3".split()
)
TOKENS = (
    *b"\\ / < > & &a *a null true FALSE ~ {} [] '' &a; <!DOCTYPE [<!ENTITY file:///etc".split(),
    *(bytes([sign]) for sign in b"\0\t\r\n\"',:{}[]%#\x80"),
    *(b"\r\n", b"../", b"\xff\xfe", b"\xef\xbb\xbf", b"- ", b"? ", b"# ", "٣".encode()),
    *(b"<<: *a", b"!!python/object:os.system ", b"http://127.0.0.1:1/x", b"s3://x/y"),
    b"<!DOCTYPE x [<!ENTITY a 'b'>]>",
)
_DEEP = "@deep@"
_TAGS = (254, *range(256, 260), 262, 270, 273, 277, 278, 279, 284, 317, *range(320, 326), 339, 347)
_ODD_VALUES = (
    *(None, True, False, 0, -1, 1.5, 1e308, 10**30, "", " ", "\n", "\0", "A" * 5000),
    *("../x", "/etc/passwd", "A01", "AF48", "B02", [], {}, [[]], [None], {"": None}),
    *({"a": {"a": {}}}, "openhcs:max_projection", "skimage:filters.gaussian", "all", "A01:C12"),
    *("ZZ99", "1", "\ud800", "naïve", "{x}"),
)


def damage_bytes(random: Random, data: bytes, tokens: tuple[bytes, ...] = ()) -> bytes:
    """Return `data` with one to four accidents."""
    for _ in range(random.choice((1, 1, 2, 4))):
        data = random.choice(_ACCIDENTS)(random, data, (*tokens, *TOKENS))
    return data


def _flip(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.randrange(256)]) + data[at + 1 :]


def _cut(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + data[at + random.choice((1, 4, 16, 200)) :]


def _end(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _insert(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice(tokens) * random.choice((1, 1, 1, 3, 300)) + data[at:]


def _number(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    """Replace a number of the text."""
    digits = [at for at, byte in enumerate(data[:20_000]) if 48 <= byte < 58]
    if not digits:
        return _insert(random, data, tokens)
    start = end = random.choice(digits)
    while end < len(data) and 48 <= data[end] < 58:
        end += 1
    return data[:start] + random.choice(NUMBERS) + data[end:]


def _repeat(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    start = random.randrange(len(data) + 1)
    part = data[start : start + random.choice((8, 64, 500))]
    return data[:start] + part * random.choice((2, 2, 3, 50)) + data[start + len(part) :]


def _swap_lines(random: Random, data: bytes, tokens: tuple[bytes, ...]) -> bytes:
    lines = data.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


_ACCIDENTS = (_flip, _cut, _end, _insert, _number, _number, _repeat, _swap_lines)


def damage_json(random: Random, tree: object) -> bytes:
    """Return JSON (YAML, too) with one to three values replaced, removed, renamed or nested."""
    tree = json.loads(json.dumps(tree))
    for _ in range(random.choice((1, 1, 2, 3))):
        tree = _damage_node(random, tree)
    opening, closing = random.choice((("[", "]"), ('{"a":', "}")))
    depth = random.choice((10, 200, 2000, 100_000))
    deep = opening * depth + "0" + closing * depth
    return json.dumps(tree).replace(f'"{_DEEP}"', deep).encode()


def _damage_node(random: Random, node: object) -> object:
    keys = (
        list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    )
    if keys and random.random() < 0.85:
        key = random.choice(keys)
        kind = random.random()
        if kind < 0.1:
            del node[key]
        elif kind < 0.2 and isinstance(node, dict):
            node[str(random.choice(_ODD_VALUES))] = node.pop(key)
        else:
            node[key] = _damage_node(random, node[key])
        return node
    if random.random() < 0.05:
        return _DEEP
    return deepcopy(random.choice((*_ODD_VALUES, [node], {"x": node})))


def damage_tiff(random: Random, data: bytes) -> bytes:
    """Return a TIFF with tags changed; at times with accidents anywhere."""
    if random.random() < 0.3:
        return damage_bytes(random, data)
    raw = bytearray(data)
    order = ">" if raw[:2] == b"MM" else "<"
    is_big = struct.unpack_from(f"{order}H", raw, 2)[0] == 43
    offset_code, count_code = ("Q", "Q") if is_big else ("I", "H")
    (start,) = struct.unpack_from(f"{order}{offset_code}", raw, 8 if is_big else 4)
    (count,) = struct.unpack_from(f"{order}{count_code}", raw, start)
    first = start + struct.calcsize(count_code)
    size = 20 if is_big else 12
    for _ in range(random.choice((1, 1, 2, 3))):
        entry = first + size * random.randrange(count)
        _damage_tag(random, raw, entry, order, offset_code)
    if random.random() < 0.1:  # a ring of directories
        struct.pack_into(f"{order}{offset_code}", raw, first + size * count, start)
    return bytes(raw)


def _damage_tag(random: Random, raw: bytearray, entry: int, order: str, code: str) -> None:
    width = struct.calcsize(code)
    extreme = random.choice(
        (0, 1, 2, 7, 255, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 10**9, len(raw), entry)
    )
    kind = random.random()
    if kind < 0.5:  # the value, or where it is
        struct.pack_into(f"{order}{code}", raw, entry + 4 + width, extreme)
    elif kind < 0.7:
        struct.pack_into(f"{order}{code}", raw, entry + 4, extreme)
    elif kind < 0.85:
        struct.pack_into(f"{order}H", raw, entry + 2, random.randrange(20))
    else:
        tag = random.choice(_TAGS)
        struct.pack_into(f"{order}H", raw, entry, tag)
