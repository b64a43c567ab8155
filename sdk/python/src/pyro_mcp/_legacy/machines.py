"""Environments, and the sandboxes for one command."""

from pyro_mcp._api import limits
from pyro_mcp._api.errors import NotFoundError, UnsupportedError
from pyro_mcp._api.http1 import segment
from pyro_mcp._legacy import checks
from pyro_mcp._legacy.defaults import MEM_MIB, TTL_SECONDS, VCPU_COUNT
from pyro_mcp._legacy.face import JSON, Face


class Environments(Face):
    """The root file systems that sandboxes begin with."""

    def list_environments(self) -> list[JSON]:
        """Return all environments of the machine."""
        found: list[JSON] = self._manager.ask("list environments", "GET", "/v1/environments")["environments"]
        return found

    def pull_environment(self, environment: str) -> JSON:
        """Fetch an environment. One that is there is ready at once."""
        found = self.inspect_environment(environment)
        if not found["installed"]:
            raise UnsupportedError(f"environment {environment} cannot be pulled yet")
        # What runs here boots no kernel and no disk image.
        return {**found, "kernel_image": None, "rootfs_image": None, "source": found["name"]}

    def inspect_environment(self, environment: str) -> JSON:
        """Return one environment."""
        name = checks.text("environment", environment).strip()
        known = self.list_environments()
        for one in known:
            if one["name"] == name:
                return one
        names = ", ".join(one["name"] for one in known)
        raise NotFoundError(f"environment {name!r} is not known", hint=f"this machine has {names}")

    def prune_environments(self) -> JSON:
        """Remove what of environments is of no use. Those there are take no place."""
        return {"deleted_environment_dirs": [], "count": 0}


class Machines(Face):
    """Sandboxes for one command."""

    def create_vm(
        self,
        *,
        environment: str,
        vcpu_count: int = VCPU_COUNT,
        mem_mib: int = MEM_MIB,
        ttl_seconds: int = TTL_SECONDS,
        network: bool = False,
        allow_host_compat: bool = False,
    ) -> JSON:
        """Make a sandbox for one command, without starting it."""
        wanted = sandbox(environment, vcpu_count, mem_mib, ttl_seconds) | _policy(network=network)
        wanted = self._manager.with_engine(wanted, allow_host_compat=allow_host_compat)
        return self._manager.ask("create VM", "POST", "/v1/vms", body=wanted, within=limits.CREATE)

    def start_vm(self, vm_id: str) -> JSON:
        """Start a sandbox."""
        return self._of_vm("start VM", "POST", vm_id, "/start", within=limits.CREATE)

    def exec_vm(self, vm_id: str, *, command: str, timeout_seconds: int = 30) -> JSON:
        """Run the command of a sandbox, which is deleted then."""
        wanted = _command(command, timeout_seconds)
        return self._of_vm(
            "exec in VM",
            "POST",
            vm_id,
            "/exec",
            body=wanted,
            within=timeout_seconds + limits.EXEC_MARGIN + limits.SERVICE,
            limit=limits.CAPTURE,
        )

    def stop_vm(self, vm_id: str) -> JSON:
        """End what runs in a sandbox."""
        return self._of_vm("stop VM", "POST", vm_id, "/stop", within=limits.SAVE)

    def delete_vm(self, vm_id: str) -> JSON:
        """Remove a sandbox."""
        return self._of_vm("delete VM", "DELETE", vm_id, "", within=limits.SERVICE)

    def status_vm(self, vm_id: str) -> JSON:
        """Return a sandbox as it is."""
        return self._of_vm("status of VM", "GET", vm_id, "")

    def network_info_vm(self, vm_id: str) -> JSON:
        """Say what network a sandbox has."""
        return self._of_vm("network of VM", "GET", vm_id, "/network")

    def reap_expired(self) -> JSON:
        """Remove sandboxes for one command whose time is over."""
        return self._manager.ask("reap VMs", "POST", "/v1/vms/reap", within=limits.LIST)

    def run_in_vm(
        self,
        *,
        environment: str,
        command: str,
        vcpu_count: int = VCPU_COUNT,
        mem_mib: int = MEM_MIB,
        timeout_seconds: int = 30,
        ttl_seconds: int = TTL_SECONDS,
        network: bool = False,
        allow_host_compat: bool = False,
    ) -> JSON:
        """Run one command in a sandbox of its own."""
        workspace = sandbox(environment, vcpu_count, mem_mib, ttl_seconds) | _policy(network=network)
        workspace = self._manager.with_engine(workspace, allow_host_compat=allow_host_compat)
        wanted = {"workspace": workspace, "exec": _command(command, timeout_seconds)}
        within = limits.CREATE + timeout_seconds + limits.EXEC_MARGIN
        return self._manager.ask("run", "POST", "/v1/run", body=wanted, within=within, limit=limits.CAPTURE)

    def _of_vm(
        self,
        op: str,
        method: str,
        vm_id: str,
        below: str,
        *,
        body: JSON | None = None,
        within: float = limits.ANSWER,
        limit: int = limits.REPLY,
    ) -> JSON:
        path = f"/v1/vms/{segment(checks.text('vm id', vm_id))}{below}"
        return self._manager.ask(op, method, path, body=body, within=within, limit=limit)


def sandbox(environment: str, vcpu_count: int, mem_mib: int, ttl_seconds: int) -> JSON:
    """Return what all requests for a sandbox have. What nobody has chosen is the machine's to say."""
    wanted: JSON = {"environment": checks.text("environment", environment).strip()}
    for name, value, default in (
        ("vcpu_count", vcpu_count, VCPU_COUNT),
        ("mem_mib", mem_mib, MEM_MIB),
        ("ttl_seconds", ttl_seconds, TTL_SECONDS),
    ):
        checks.positive(name, value)
        if default.given(value) is not None:
            wanted[name] = int(value)
    return wanted


def _policy(*, network: bool) -> JSON:
    return {"network_policy": "egress"} if network else {}


def _command(command: str, timeout_seconds: int) -> JSON:
    return {
        "command": checks.text("command", command),
        "timeout_seconds": checks.positive("timeout_seconds", timeout_seconds),
    }
