"""The face that waits; :mod:`pyro_mcp` has its names."""
