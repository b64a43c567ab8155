"""Whom to trust; apart, because most programs go over a unix socket and never load ssl."""

import os
import ssl

from pyro_mcp._api.errors import InvalidError


def context() -> ssl.SSLContext:
    """Trust what the system trusts, and what PYRO_CA_FILE holds."""
    trusted = ssl.create_default_context()
    if file := os.environ.get("PYRO_CA_FILE"):
        try:
            trusted.load_verify_locations(file)
        except OSError as e:  # also where it holds no certificate
            raise InvalidError(
                f"PYRO_CA_FILE: {file}: {e.strerror or e}", hint="name a file with certificates in PEM"
            ) from e
    return trusted
