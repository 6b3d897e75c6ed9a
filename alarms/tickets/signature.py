"""Standard Webhooks signatures, with several secrets at once so that one can be exchanged under load."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

from gateway.errors import ConfigError


def signed_headers(body: str, message_id: str, at: datetime, secrets: Sequence[str]) -> dict[str, str]:
    """Return id, timestamp and signature headers; `at` is real time, aware. Raises ConfigError for a bad secret."""
    # The library relabels any other zone as UTC without converting it, and the signature would not verify.
    moment = at.astimezone(UTC).replace(microsecond=0)
    signatures = [_webhook(secret).sign(message_id, moment, body) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def is_authentic(body: bytes, headers: Mapping[str, str], secrets: Sequence[str]) -> bool:
    """Tell whether one of the secrets signed this body at most five real minutes ago; never raises for bad input.

    Raises ConfigError if a secret itself cannot be used.
    """
    for secret in secrets:
        webhook = _webhook(secret)
        try:
            webhook.verify(body, dict(headers), json_parse=False)
        except (WebhookVerificationError, ValueError, OverflowError, TypeError):
            # ValueError covers UnicodeDecodeError, binascii.Error and a signature list of another form.
            continue
        return True
    return False


def _webhook(secret: str) -> Webhook:
    try:
        return Webhook(secret)
    except (ValueError, RuntimeError, EmptyWebhookSecretError, binascii.Error) as error:
        raise ConfigError(["webhook secret: must be whsec_ and base64 text"]) from error
