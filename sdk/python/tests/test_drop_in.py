"""The calls of the replaced product: their signatures, and what each asks the server."""

import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from fake_pyro import Asked, FakePyro, answer

import pyro_mcp
from pyro_mcp import Pyro, PyroError, VmManager, create_server

ID = "0123456789ab"
AT = f"/v1/workspaces/{ID}"

# As that product has them, without what they are called for.
SIGNATURES = """
list_environments()
pull_environment(environment)
inspect_environment(environment)
prune_environments()
create_vm(*, environment, vcpu_count=1, mem_mib=1024, ttl_seconds=600, network=False, allow_host_compat=False)
start_vm(vm_id)
stop_vm(vm_id)
status_vm(vm_id)
exec_vm(vm_id, *, command, timeout_seconds=30)
delete_vm(vm_id)
network_info_vm(vm_id)
reap_expired()
run_in_vm(*, environment, command, vcpu_count=1, mem_mib=1024, timeout_seconds=30, ttl_seconds=600, \
network=False, allow_host_compat=False)
create_workspace(*, environment, vcpu_count=1, mem_mib=1024, ttl_seconds=600, network_policy='off', \
allow_host_compat=False, seed_path=None, secrets=None, name=None, labels=None)
list_workspaces()
update_workspace(workspace_id, *, name=None, clear_name=False, labels=None, clear_labels=None)
status_workspace(workspace_id)
stop_workspace(workspace_id)
start_workspace(workspace_id)
exec_workspace(workspace_id, *, command, timeout_seconds=30, secret_env=None)
logs_workspace(workspace_id)
push_workspace_sync(workspace_id, source_path, *, dest='/workspace')
export_workspace(workspace_id, path, *, output_path)
diff_workspace(workspace_id)
list_workspace_files(workspace_id, *, path='/workspace', recursive=False)
read_workspace_file(workspace_id, path, *, max_bytes=65536)
write_workspace_file(workspace_id, path, *, text)
apply_workspace_patch(workspace_id, *, patch)
create_snapshot(workspace_id, snapshot_name)
delete_snapshot(workspace_id, snapshot_name)
list_snapshots(workspace_id)
reset_workspace(workspace_id, *, snapshot='baseline')
export_workspace_disk(workspace_id, *, output_path)
list_workspace_disk(workspace_id, *, path='/workspace', recursive=False)
read_workspace_disk(workspace_id, path, *, max_bytes=65536)
open_shell(workspace_id, *, cwd='/workspace', cols=120, rows=30, secret_env=None)
read_shell(workspace_id, shell_id, *, cursor=0, max_chars=65536, plain=False, wait_for_idle_ms=None)
write_shell(workspace_id, shell_id, *, input, append_newline=True)
signal_shell(workspace_id, shell_id, *, signal_name='INT')
close_shell(workspace_id, shell_id)
start_service(workspace_id, service_name, *, command, cwd='/workspace', readiness=None, \
ready_timeout_seconds=30, ready_interval_ms=500, secret_env=None, published_ports=None)
list_services(workspace_id)
status_service(workspace_id, service_name)
stop_service(workspace_id, service_name)
logs_service(workspace_id, service_name, *, tail_lines=200, all=False)
delete_workspace(workspace_id)
summarize_workspace(workspace_id)
"""


def bare(call: Callable[..., Any]) -> str:
    """Return a signature without types."""
    told = inspect.signature(call)
    plain = [one.replace(annotation=inspect.Parameter.empty) for one in told.parameters.values()]
    return str(told.replace(parameters=plain, return_annotation=inspect.Signature.empty))


@pytest.mark.parametrize("line", SIGNATURES.split("\n")[1:-1])
def test_signatures_are_those_of_the_replaced_product(line: str) -> None:
    name, _, rest = line.partition("(")
    assert bare(getattr(Pyro, name)) == f"(self{', ' if rest != ')' else ''}{rest}"


def test_no_call_is_there_that_nobody_knows() -> None:
    known = {line.partition("(")[0] for line in SIGNATURES.split("\n")} | {"manager", "create_server"}
    assert {name for name in dir(Pyro) if not name.startswith("_")} == known - {""}


def test_what_is_made_by_itself() -> None:
    assert (
        bare(Pyro) == "(manager=None, *, backend_name=None, base_dir=None, cache_dir=None, max_active_vms=4)"
    )
    assert bare(create_server).startswith("(manager=None, *, profile='workspace-full', ")
    assert bare(Pyro.create_server).startswith("(self, *, profile='workspace-full', ")
    manager = VmManager()
    assert Pyro(manager).manager is manager
    assert pyro_mcp.__version__


class Server:
    """Says yes to everything, and what there is at the paths that are looked at."""

    def __init__(self) -> None:
        self.said: dict[str, Any] = {
            "/v1/environments": {"environments": [{"name": "host", "installed": True}]}
        }

    def __call__(self, asked: Asked) -> bytes:
        here = {"workspace_id": ID, "control_socket": None}
        return answer(json.dumps(self.said.get(asked.path, here)).encode())


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePyro]:
    with FakePyro(tmp_path / "s", Server()) as fake:
        monkeypatch.setenv("PYRO_URL", fake.url)
        yield fake


CALLS: list[tuple[str, Callable[[Pyro], object], str, dict[str, Any]]] = [
    ("list_environments", lambda p: p.list_environments(), "GET /v1/environments", {}),
    (
        "create_vm",
        lambda p: p.create_vm(environment="host", network=True, mem_mib=2048),
        "POST /v1/vms",
        {"environment": "host", "mem_mib": 2048, "network_policy": "egress"},
    ),
    ("start_vm", lambda p: p.start_vm("v/"), "POST /v1/vms/v%2F/start", {}),
    ("stop_vm", lambda p: p.stop_vm("v"), "POST /v1/vms/v/stop", {}),
    ("status_vm", lambda p: p.status_vm("v"), "GET /v1/vms/v", {}),
    ("delete_vm", lambda p: p.delete_vm("v"), "DELETE /v1/vms/v", {}),
    ("network_info_vm", lambda p: p.network_info_vm("v"), "GET /v1/vms/v/network", {}),
    ("reap_expired", lambda p: p.reap_expired(), "POST /v1/vms/reap", {}),
    (
        "exec_vm",
        lambda p: p.exec_vm("v", command="ls"),
        "POST /v1/vms/v/exec",
        {"command": "ls", "timeout_seconds": 30},
    ),
    (
        "run_in_vm",
        lambda p: p.run_in_vm(environment="host", command="ls", ttl_seconds=600, allow_host_compat=True),
        "POST /v1/run",
        {
            "workspace": {"environment": "host", "ttl_seconds": 600, "allow_host_compat": True},
            "exec": {"command": "ls", "timeout_seconds": 30},
        },
    ),
    (
        "create_workspace",
        lambda p: p.create_workspace(
            environment=" host ",
            vcpu_count=2,
            network_policy="Egress",
            secrets=[{"name": "A", "value": "1"}],
            name="n",
            labels={"k": "v"},
        ),
        "POST /v1/workspaces",
        {
            "environment": "host",
            "vcpu_count": 2,
            "network_policy": "egress",
            "secrets": [{"name": "A", "value": "1", "source_kind": "literal"}],
            "name": "n",
            "labels": {"k": "v"},
        },
    ),
    ("list_workspaces", lambda p: p.list_workspaces(), "GET /v1/workspaces", {}),
    (
        "update_workspace",
        lambda p: p.update_workspace(ID, name="n", labels={"a": "b"}, clear_labels=["c"]),
        f"PATCH {AT}",
        {"name": "n", "labels": {"a": "b"}, "clear_labels": ["c"]},
    ),
    (
        "update_workspace, no name",
        lambda p: p.update_workspace(ID, clear_name=True),
        f"PATCH {AT}",
        {"clear_name": True},
    ),
    ("status_workspace", lambda p: p.status_workspace(ID), f"GET {AT}", {}),
    ("stop_workspace", lambda p: p.stop_workspace(ID), f"POST {AT}/stop", {}),
    ("start_workspace", lambda p: p.start_workspace(ID), f"POST {AT}/start", {}),
    ("delete_workspace", lambda p: p.delete_workspace(ID), f"DELETE {AT}", {}),
    (
        "exec_workspace",
        lambda p: p.exec_workspace(ID, command="ls", timeout_seconds=5, secret_env={"A": "B"}),
        f"POST {AT}/exec",
        {"command": "ls", "timeout_seconds": 5, "secret_env": {"A": "B"}},
    ),
    ("logs_workspace", lambda p: p.logs_workspace(ID), f"GET {AT}/logs", {}),
    ("summarize_workspace", lambda p: p.summarize_workspace(ID), f"GET {AT}/summary", {}),
    ("diff_workspace", lambda p: p.diff_workspace(ID), f"GET {AT}/diff", {}),
    (
        "list_workspace_files",
        lambda p: p.list_workspace_files(ID, recursive=True),
        f"GET {AT}/files",
        {"path": "/workspace", "recursive": "true"},
    ),
    (
        "read_workspace_file",
        lambda p: p.read_workspace_file(ID, "a b"),
        f"GET {AT}/files/read",
        {"path": "a b", "max_bytes": "65536"},
    ),
    ("create_snapshot", lambda p: p.create_snapshot(ID, "s"), f"POST {AT}/snapshots", {"snapshot_name": "s"}),
    ("list_snapshots", lambda p: p.list_snapshots(ID), f"GET {AT}/snapshots", {}),
    ("delete_snapshot", lambda p: p.delete_snapshot(ID, "../x"), f"DELETE {AT}/snapshots/..%2Fx", {}),
    ("reset_workspace", lambda p: p.reset_workspace(ID), f"POST {AT}/reset", {"snapshot": "baseline"}),
    (
        "list_workspace_disk",
        lambda p: p.list_workspace_disk(ID, path="/etc"),
        f"GET {AT}/disk/list",
        {"path": "/etc", "recursive": "false"},
    ),
    (
        "read_workspace_disk",
        lambda p: p.read_workspace_disk(ID, "a", max_bytes=9),
        f"GET {AT}/disk/read",
        {"path": "a", "max_bytes": "9"},
    ),
    (
        "open_shell",
        lambda p: p.open_shell(ID),
        f"POST {AT}/shells",
        {"cwd": "/workspace", "cols": 120, "rows": 30},
    ),
    (
        "read_shell",
        lambda p: p.read_shell(ID, "s", plain=True),
        f"GET {AT}/shells/s/output",
        {"cursor": "0", "max_chars": "65536", "plain": "true"},
    ),
    (
        "read_shell, idle",
        lambda p: p.read_shell(ID, "s", cursor=7, wait_for_idle_ms=300),
        f"GET {AT}/shells/s/output",
        {"cursor": "7", "max_chars": "65536", "plain": "false", "wait_for_idle_ms": "300"},
    ),
    (
        "write_shell",
        lambda p: p.write_shell(ID, "s", input="ls", append_newline=False),
        f"POST {AT}/shells/s/input",
        {"input": "ls", "append_newline": False},
    ),
    (
        "signal_shell",
        lambda p: p.signal_shell(ID, "s", signal_name="term"),
        f"POST {AT}/shells/s/signal",
        {"signal": "TERM"},
    ),
    ("close_shell", lambda p: p.close_shell(ID, "s"), f"DELETE {AT}/shells/s", {}),
    (
        "start_service",
        lambda p: p.start_service(
            ID,
            "web",
            command="run",
            readiness={"type": "tcp", "address": "127.0.0.1:80"},
            published_ports=[{"guest_port": 80}, {"guest_port": 81, "host_port": 8081}],
        ),
        f"POST {AT}/services",
        {
            "service_name": "web",
            "command": "run",
            "cwd": "/workspace",
            "readiness": {"type": "tcp", "address": "127.0.0.1:80"},
            "ready_timeout_seconds": 30,
            "ready_interval_ms": 500,
            "publish": [{"guest_port": 80}, {"guest_port": 81, "host_port": 8081}],
        },
    ),
    ("list_services", lambda p: p.list_services(ID), f"GET {AT}/services", {}),
    ("status_service", lambda p: p.status_service(ID, "w"), f"GET {AT}/services/w", {}),
    ("stop_service", lambda p: p.stop_service(ID, "w"), f"POST {AT}/services/w/stop", {}),
    ("logs_service", lambda p: p.logs_service(ID, "w"), f"GET {AT}/services/w/logs", {"tail_lines": "200"}),
    (
        "logs_service, all",
        lambda p: p.logs_service(ID, "w", tail_lines=5, all=True),
        f"GET {AT}/services/w/logs",
        {"tail_lines": "0"},
    ),
]


@pytest.mark.parametrize(("call", "line", "told"), [row[1:] for row in CALLS], ids=[row[0] for row in CALLS])
def test_each_call_asks_for(
    server: FakePyro, call: Callable[[Pyro], object], line: str, told: dict[str, Any]
) -> None:
    call(Pyro())
    asked = server.asked[-1]
    path, _, query = asked.target.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True)) if query else json.loads(asked.body or b"{}")
    if line == "POST /v1/workspaces":
        given.setdefault("network_policy", "off")
    assert (f"{asked.method} {path}", given) == (line, told)


def test_texts_are_sent_as_they_are(server: FakePyro) -> None:
    Pyro().write_workspace_file(ID, "a", text="ü\r\n")
    Pyro().apply_workspace_patch(ID, patch="--- a/x\n")
    sent = [(one.method, one.target, one.body) for one in server.asked if one.body]
    assert sent == [
        ("PUT", f"{AT}/files/content?path=a", "ü\r\n".encode()),
        ("POST", f"{AT}/patch", b"--- a/x\n"),
    ]


def test_mock_is_consent_for_all_that_is_made(server: FakePyro) -> None:
    pyro = Pyro(backend_name="mock")
    pyro.create_workspace(environment="host", vcpu_count=2)
    pyro.start_workspace(ID)
    pyro.reset_workspace(ID)
    bodies = [json.loads(one.body) for one in server.asked]
    assert all(body["allow_host_compat"] for body in bodies)
    assert bodies[0]["engine"] == "host-compat"
    assert "vcpu_count" not in bodies[0]  # which it would refuse


def test_consent_holds_for_the_workspace_it_was_given_for(server: FakePyro) -> None:
    pyro = Pyro()
    pyro.create_workspace(environment="host", allow_host_compat=True)
    for workspace_id in (ID, "ffffffffffff"):
        pyro.start_workspace(workspace_id)
    assert [json.loads(one.body) for one in server.asked[1:]] == [{"allow_host_compat": True}, {}]


def test_a_pulled_environment_is_the_one_that_is_there(server: FakePyro) -> None:
    pulled = Pyro().pull_environment("host")
    assert pulled == {
        "name": "host",
        "installed": True,
        "kernel_image": None,
        "rootfs_image": None,
        "source": "host",
    }
    assert Pyro().prune_environments() == {"deleted_environment_dirs": [], "count": 0}


REFUSED: list[tuple[str, Callable[[Pyro], object]]] = [
    ("no cpu", lambda p: p.create_vm(environment="host", vcpu_count=0)),
    ("no memory", lambda p: p.create_workspace(environment="host", mem_mib=0)),
    ("no time to live", lambda p: p.create_workspace(environment="host", ttl_seconds=0)),
    ("no time", lambda p: p.exec_workspace(ID, command="ls", timeout_seconds=0)),
    ("half a second", lambda p: p.exec_workspace(ID, command="ls", timeout_seconds=0.5)),  # type: ignore[arg-type]
    ("true seconds", lambda p: p.exec_vm("v", command="ls", timeout_seconds=True)),
    ("no environment", lambda p: p.create_vm(environment=" ")),
    ("unknown environment", lambda p: p.inspect_environment("debian:99")),
    ("no command", lambda p: p.exec_workspace(ID, command="")),
    ("an argv", lambda p: p.exec_workspace(ID, command=["ls"])),  # type: ignore[arg-type]
    ("no id", lambda p: p.status_workspace("")),
    ("an empty name", lambda p: p.create_workspace(environment="host", name="")),
    ("no columns", lambda p: p.open_shell(ID, cols=0)),
    ("a cursor below zero", lambda p: p.read_shell(ID, "s", cursor=-1)),
    ("no characters", lambda p: p.read_shell(ID, "s", max_chars=0)),
    ("no bytes", lambda p: p.read_workspace_file(ID, "a", max_bytes=0)),
    ("no lines", lambda p: p.logs_service(ID, "w", tail_lines=0)),
    ("a long text", lambda p: p.write_workspace_file(ID, "a", text="x" * (1 << 20 | 1))),
    ("an empty patch", lambda p: p.apply_workspace_patch(ID, patch="\n")),
    ("two sources of a secret", lambda p: secret(p, name="A", value="1", file_path="/x")),
    ("no source of a secret", lambda p: secret(p, name="A")),
    ("a secret without name", lambda p: secret(p, value="1")),
    ("a number as secret", lambda p: secret(p, name="A", value=1)),
    ("a secret from nowhere", lambda p: secret(p, name="A", file_path="/no/such/file")),
    ("a secret from a directory", lambda p: secret(p, name="A", file_path="/")),
    ("an endless secret", lambda p: secret(p, name="A", file_path="/dev/zero")),
    ("more of a secret", lambda p: secret(p, name="A", value="1", mode=1)),
    ("no list of secrets", lambda p: p.create_workspace(environment="host", secrets={"A": "1"})),  # type: ignore[arg-type]
    ("no list of ports", lambda p: p.start_service(ID, "w", command="x", published_ports=[80])),  # type: ignore[list-item]
    ("no guest port", lambda p: p.start_service(ID, "w", command="x", published_ports=[{"host_port": 8080}])),
    ("labels that are no texts", lambda p: p.create_workspace(environment="host", labels={"a": 1})),  # type: ignore[dict-item]
    ("a seed that is not there", lambda p: p.create_workspace(environment="host", seed_path="/no/such")),
    ("a tree that is not there", lambda p: p.push_workspace_sync(ID, "/no/such")),
]


def secret(pyro: Pyro, **fields: object) -> None:
    pyro.create_workspace(environment="host", secrets=[fields])


@pytest.mark.parametrize("call", [row[1] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_refused_before_anything_is_asked(server: FakePyro, call: Callable[[Pyro], object]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - of each another text
        call(Pyro())
    assert isinstance(caught.value, PyroError)
    assert {one.method for one in server.asked} <= {"GET"}  # where a workspace is, and what there is


def test_values_of_secrets_are_in_no_error(server: FakePyro) -> None:
    for fields in (
        {"value": b"hunter2"},
        {"value": "hunter2", "file_path": "/x"},
        {"value": "hunter2", "x": 1},
    ):
        with pytest.raises(ValueError, match="secret A") as caught:
            secret(Pyro(), name="A", **fields)
        assert "hunter2" not in str(caught.value)


def test_a_secret_file_is_kept_byte_by_byte(server: FakePyro, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes("zwölf\r\n".encode())
    secret(Pyro(), name="A", file_path=str(file))
    sent = json.loads(server.asked[-1].body)["secrets"]
    assert sent == [{"name": "A", "value": "zwölf\r\n", "source_kind": "file"}]


@pytest.mark.parametrize(
    ("kind", "classes", "not_a"),
    [
        ("invalid", [ValueError], RuntimeError),
        ("not_found", [ValueError, RuntimeError], OSError),
        ("exists", [ValueError, RuntimeError], OSError),
        ("conflict", [RuntimeError], ValueError),
        ("expired", [RuntimeError], ValueError),
        ("unsupported", [RuntimeError], ValueError),
        ("denied", [RuntimeError], ValueError),
        ("internal", [RuntimeError], ValueError),
        ("unavailable", [RuntimeError, OSError], ValueError),
        ("timeout", [RuntimeError, TimeoutError], ValueError),
    ],
)
def test_errors_are_those_that_callers_catch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, classes: list[type], not_a: type
) -> None:
    said = json.dumps({"ok": False, "error": "what it was", "kind": kind, "hint": "do this"}).encode()
    with FakePyro(tmp_path / "s", lambda _: answer(said, 500)) as fake:
        monkeypatch.setenv("PYRO_URL", fake.url)
        with pytest.raises(PyroError, match="what it was") as caught:
            Pyro().status_workspace(ID)
    assert all(isinstance(caught.value, one) for one in classes)
    assert not isinstance(caught.value, not_a)


def test_the_manager_holds_what_it_was_given(tmp_path: Path) -> None:
    manager = Pyro(base_dir=tmp_path / "s", cache_dir=str(tmp_path / "c"), max_active_vms=7).manager
    assert manager.environment == {
        "PYRO_STATE_DIR": str(tmp_path / "s"),
        "PYRO_CACHE_DIR": str(tmp_path / "c"),
        "PYRO_CAPACITY": "7",
    }
    assert VmManager().environment == {}  # as the machine is configured
    assert VmManager(max_active_vms=int("4")).environment == {"PYRO_CAPACITY": "4"}


@pytest.mark.parametrize("given", [{"backend_name": "qemu"}, {"max_active_vms": 0}])
def test_a_manager_refuses(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(given)).partition("_")[0]):
        Pyro(**given)


def test_directories_are_not_for_another_machine(server: FakePyro) -> None:
    with pytest.raises(ValueError, match="PYRO_URL"):
        Pyro(base_dir="/somewhere").list_workspaces()
