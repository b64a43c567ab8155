"""How this package talks to a pyro: HTTP over a socket, and frames where something streams."""
