#!/usr/bin/env python3
"""Prints the vectors of the id recipes and of the identifiers' hashes, of
shares, sealed fields and the vault, from the recipes of docs/CONTRACT.md alone, so
that the tests don't check the code against itself. Run it with no arguments; the
tests hold what it prints. The vectors of sealed fields and of the vault need the
package `cryptography` on OpenSSL 3.2 or later."""

import hashlib
import hmac
import struct


def h(label, *parts):
    fed = b""
    for part in (label.encode(), *parts):
        fed += struct.pack(">I", len(part)) + part
    return hashlib.sha256(fed).digest()


def uuid(digest, watermark_ms=None):
    b = bytearray(digest[:16])
    b[6] = b[6] & 0x0F | 0x80
    b[8] = b[8] & 0x3F | 0x80
    if watermark_ms is not None:
        b[:6] = struct.pack(">Q", watermark_ms)[2:]
    return bytes(b)


def show(b):
    t = b.hex()
    return f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}"


NOON = 1_700_000_000_000
TENANT = b"demo"
TOKEN = b"eeafa272cebfd4b22385bc4b645e762c"
ACCOUNT = b"demo.myshopify.com"
CART = b"\x04" + b"\x07shopify" + bytes([len(ACCOUNT)]) + ACCOUNT + b"\x00" + TOKEN

fact = uuid(h("fact", TENANT, b"shopify", ACCOUNT, b"commerce.cart.updated.v1", TOKEN, b"2026-11-24T12:00:00Z", b""))
instance = uuid(h("instance", TENANT, b"cart-recovery", CART, fact), NOON)
u32 = lambda n: struct.pack(">I", n)
command = uuid(h("command", TENANT, instance, b"remind", u32(1), u32(0)), NOON)
wakeup = uuid(h("wakeup", instance, b"quiet", struct.pack(">q", NOON), u32(0)))

PEPPER = b"0123456789abcdef0123456789abcdef"


def identifier(kind, value):
    fed = b"".join(u32(len(p)) + p for p in (kind, value))
    return hmac.new(PEPPER, fed, hashlib.sha256).digest()[:16].hex()


def set_up(kind, what):
    return uuid(h("fact", TENANT, b"tradewind", b"", kind, what, struct.pack(">Q", 7), b""))


def place(share):
    return struct.unpack(">I", h(share, TENANT, b"cart-recovery", CART)[:4])[0] % 10_000


for name, value in {
    "VECTOR_FACT": show(fact),
    "VECTOR_INSTANCE": show(instance),
    "VECTOR_COMMAND": show(command),
    "VECTOR_WAKEUP": show(wakeup),
    "VECTOR_DECISION_FOLD": show(uuid(h("decision", TENANT, fact), NOON)),
    "VECTOR_DECISION_WAKEUP": show(uuid(h("decision", TENANT, wakeup), NOON)),
    "VECTOR_OUTCOME": show(uuid(h("outcome", command, u32(2), b"succeeded"))),
    "VECTOR_EXPIRED": show(uuid(h("outcome", command, b"expired"))),
    "VECTOR_CANCELLED": show(uuid(h("outcome", command, b"cancelled"))),
    "VECTOR_ENTRY": show(uuid(h("entry", b"connection/demo/store", struct.pack(">Q", 3)))),
    "VECTOR_DERIVED": show(
        uuid(h("fact", TENANT, b"tradewind", b"", b"commerce.cart.abandoned.v1", CART, fact, b""))
    ),
    "VECTOR_SETTING": show(set_up(b"tradewind.setting.set.v1", b"cap_per_week")),
    "VECTOR_BINDING": show(set_up(b"tradewind.binding.set.v1", b"message.send/email")),
    "VECTOR_DEFINITION": show(set_up(b"tradewind.definition.activated.v1", b"cart-recovery")),
    "VECTOR_GAP": show(
        uuid(
            h(
                "fact", TENANT, b"tradewind", b"", b"tradewind.gap.opened.v1", b"shopify/store",
                struct.pack(">q", NOON), b"",
            )
        )
    ),
    "VECTOR_PARTITION": show(
        uuid(h("fact", b"", b"tradewind", b"", b"tradewind.tick.v1", u32(3), struct.pack(">q", NOON), b""))
    ),
    "VECTOR_DELIVERY": show(
        uuid(h("fact", TENANT, b"shopify", ACCOUNT, b"tradewind.delivery", b"store", hashlib.sha256(b"{}").digest(), b""))
    ),
    "VECTOR_OWNER": h("owner", TENANT, CART).hex(),
    "VECTOR_CONNECTION_OWNER": h("connection-owner", TENANT, b"store").hex(),
    "VECTOR_EMAIL": identifier(b"email", b"ada@example.com"),
    "VECTOR_PHONE": identifier(b"phone", b"+4915112345678"),
    "VECTOR_HOLDOUT": place("holdout"),
    "VECTOR_CANARY": place("canary"),
}.items():
    print(name, value)

try:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
except ImportError:
    print("VECTOR_SEALED, VECTOR_WRAPPED and the vaults left out: they need the package cryptography")
else:
    origin = b"fact-id-00000001"
    for name, field, plaintext in [("VECTOR_SEALED", b"email", b"ada@example.com"), ("VECTOR_SEALED_EMPTY", b"phone", b"")]:
        nonce = h("nonce", origin, field)[:12]
        print(name, AESGCMSIV(bytes(range(32))).encrypt(nonce, plaintext, origin + field).hex())

    def crc32c(fed):
        crc = 0xFFFFFFFF
        for byte in fed:
            crc ^= byte
            for _ in range(8):
                crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        return u32(crc ^ 0xFFFFFFFF)

    def frame(*entries):
        payload = b"".join(bytes([kind]) + struct.pack(">H", len(e)) + e for kind, e in entries)
        head = u32(len(payload)) + crc32c(payload)
        return head + crc32c(head) + payload

    def field(number, fed):
        return bytes([number << 3 | 2, len(fed)]) + fed

    def varint(n):
        return bytes([n]) if n < 128 else bytes([n & 127 | 128]) + varint(n >> 7)

    installation_key, key, key_id, nonce = bytes(range(32)), bytes(range(32, 64)), b"key-id-000000001", b"nonce-000001"
    owner = h("owner", TENANT, CART)
    wrapped = AESGCMSIV(installation_key).encrypt(nonce, key, h("key", key_id, TENANT, owner))
    entry = b"".join(field(i + 1, part) for i, part in enumerate([key_id, TENANT, owner, wrapped, nonce]))
    entry += bytes([6 << 3]) + varint(NOON)
    keyed = frame((1, entry))
    # Read on from record 8; nothing lay behind it at noon; record 7 was this key's.
    mark = struct.pack(">QqQ", 8, NOON, 7) + key_id

    def vault(magic, *frames):
        header = magic + h("installation", installation_key)[:16]
        return header + crc32c(header) + b"".join(frames)

    print("VECTOR_WRAPPED", wrapped.hex())
    print("VECTOR_VAULT", vault(b"TWVAULT1", keyed, frame((2, b"key-id-000000002"))).hex())
    print("VECTOR_COPY", vault(b"TWKEYS01", frame((1, entry), (3, mark))).hex())
