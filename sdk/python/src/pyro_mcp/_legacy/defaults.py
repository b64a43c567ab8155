"""Defaults that can be told from the same number given by hand.

The signatures have the defaults of the replaced product. On a machine whose owner has
configured others, a call that says nothing gets those.
"""


class Default(int):
    """A default of a signature."""

    def given(self, value: int) -> int | None:
        """Return the value, or None where it is this default itself."""
        return None if value is self else value


VCPU_COUNT = Default(1)
MEM_MIB = Default(1024)
TTL_SECONDS = Default(600)
MAX_ACTIVE_VMS = Default(4)
