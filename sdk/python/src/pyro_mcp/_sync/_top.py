# Made by tools/python-faces.py of aio/_top.py. Change that one.
"""What needs no client of its own: that of this program is used."""

from pyro_mcp._sync._client import Client

_default = Client()

workspace = _default.workspace
connect = _default.connect
get = _default.get
workspaces = _default.workspaces
run = _default.run
environments = _default.environments
doctor = _default.doctor
prepare = _default.prepare
