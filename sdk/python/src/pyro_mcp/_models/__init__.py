"""The answers of pyro as types; :mod:`pyro_mcp.models` has their names."""
