"""The client of the guest agent in parts; :mod:`pyro_mcp.vm_guest` is its face.

``transport`` connects, ``exchange`` carries one request and its answer, ``decode`` judges
what came, ``results`` says what it means. The rest are the calls, by subject.
"""
