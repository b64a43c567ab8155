"""The names and calls of the product that pyro succeeds, on pyro.

What they return is the API's JSON as dicts. What they cannot do is a ValueError where it was
asked wrongly, and a RuntimeError otherwise, as it was there; all of them are
:class:`pyro_mcp.PyroError`, too.
"""
