"""What keeps tenants apart: each has ids of its own for the same patient, and none can be told from another's."""

import hashlib
import hmac


def secret_of(site_secret: str, tenant: str) -> str:
    """Give what is mixed into the ids and lanes of a tenant; the tenant without a name has the site's own."""
    if not tenant:
        return site_secret
    return hmac.new(site_secret.encode(), b"tenant|" + tenant.encode(), hashlib.sha256).hexdigest()
