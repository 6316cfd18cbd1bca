"""Writes batches of the profiler's format by hand, from docs/spec/profile-batch.md."""

import struct


def pack(value):
    """msgpack of what the format uses: None, ints, str, bytes, lists, dicts."""
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if 0 <= value < 128 or -32 <= value < 0:
            return struct.pack("b" if value < 0 else "B", value)
        if value < 0:
            return b"\xd3" + struct.pack(">q", value)
        for tag, form, top in ((0xCC, ">B", 8), (0xCD, ">H", 16), (0xCE, ">I", 32), (0xCF, ">Q", 64)):
            if value < 1 << top:
                return bytes([tag]) + struct.pack(form, value)
    if isinstance(value, str):
        text = value.encode()
        return (bytes([0xA0 | len(text)]) if len(text) < 32 else b"\xda" + struct.pack(">H", len(text))) + text
    if isinstance(value, bytes):
        return b"\xc5" + struct.pack(">H", len(value)) + value
    if isinstance(value, list):
        head = bytes([0x90 | len(value)]) if len(value) < 16 else b"\xdd" + struct.pack(">I", len(value))
        return head + b"".join(pack(v) for v in value)
    if isinstance(value, dict):
        head = bytes([0x80 | len(value)]) if len(value) < 16 else b"\xde" + struct.pack(">H", len(value))
        return head + b"".join(pack(k) + pack(v) for k, v in value.items())
    raise TypeError(value)


def batch(session, seq, start, end, *records, first=True, **hello):
    """`hello`: k5="value" for key 5, and so on."""
    keys = {0: 1, 1: session, 2: seq, 3: start, 4: end}
    if first:
        keys[5] = 1
    keys.update({int(k[1:]): v for k, v in hello.items()})
    return b"".join(pack(r) for r in ([0, keys], *records, [11, seq]))


# The worked example of the format's description: 231 bytes.
EXAMPLE = bytes.fromhex(
    "9200860001" "01c41000112233445566778899aabbccddeeff" "0207" "03cf18867251edfa0000" "04cf188672544205e400" "05cd1092"
    "93010193" "ad2f6f70742f6170702f64656d6f" "a8776f726b65722d31" "a5474554202f"
    "9202919a" "02ce00401000cd1000cd1000000001c4081f2e3d4c5b6a79880000"
    "93040196" "0002ce00401180" "0102ce00401136"
    "92069194" "01cd10920200"
    "92079195" "0100cf1122334455667788cf0a0b0c0d0e0f1011cf0102030405060708"
    "92089194" "cf0102030405060708030001"
    "940501cf18867251edfa00009c" "cd271001010201ce00989680" "cd271001010201ce00989680"
    "920b07")
