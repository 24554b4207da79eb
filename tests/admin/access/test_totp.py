"""One-time codes, by the numbers of RFC 6238."""

from __future__ import annotations

import base64

import pytest

from waitroom.admin.access.totp import address, code_at, new_secret, step_of

SECRET = base64.b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1_111_111_109, "081804"), (1_111_111_111, "050471"), (1_234_567_890, "005924"),
     (2_000_000_000, "279037"), (20_000_000_000, "353130")],
)  # fmt: skip
def test_codes_are_those_of_the_rfc(seconds: int, code: str) -> None:
    assert code_at(SECRET, seconds // 30) == code


def test_a_code_counts_a_step_before_and_after_and_never_twice() -> None:
    step, now_ms = 37_037_036, 1_111_111_109_000
    for near in (step - 1, step, step + 1):
        assert step_of(SECRET, f" {code_at(SECRET, near)[:3]} {code_at(SECRET, near)[3:]}", now_ms, used_step=0) == near
    assert step_of(SECRET, code_at(SECRET, step - 2), now_ms, used_step=0) is None
    assert step_of(SECRET, code_at(SECRET, step), now_ms, used_step=step) is None
    assert step_of(SECRET, code_at(SECRET, step - 1), now_ms, used_step=step) is None


@pytest.mark.parametrize("code", ["", "0", "éééééé", "１２３４５６", "x" * 10_000])
def test_what_is_no_code_is_wrong(code: str) -> None:
    assert step_of(SECRET, code, 1_111_111_109_000, used_step=0) is None


def test_secrets_are_new_each_time_and_the_address_names_account_and_secret() -> None:
    secret = new_secret()
    assert secret != new_secret()
    assert len(base64.b32decode(secret)) == 20
    assert address(secret, "dana@shop.example").startswith("otpauth://totp/Waitroom:dana%40shop.example?secret=")
