"""The calls of the replaced product, against workspaces that PYRO_BINARY makes."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandboxed import close, place, pyro

from pyro_mcp import Pyro, PyroError, VmManager

__all__ = ["place", "pyro"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top: Path = tmp_path_factory.mktemp("project")
    (top / "src").mkdir()
    (top / "src" / "app.sh").write_text("#!/bin/sh\necho broken\n")
    (top / "src" / "app.sh").chmod(0o755)
    (top / "bin").symlink_to("src")
    return top


@pytest.fixture(scope="module")
def made(place: Path, project: Path) -> Iterator[dict[str, Any]]:
    """Give a workspace that the tests share, as it was made."""
    (place / "token").write_text("from-a-file\n")
    pyro = Pyro()
    workspace = pyro.create_workspace(
        environment="host",
        seed_path=project,
        secrets=[
            {"name": "API_TOKEN", "value": "expected"},
            {"name": "FILE_TOKEN", "file_path": str(place / "token")},
        ],
        name="repro",
        labels={"issue": "9"},
    )
    yield workspace
    pyro.delete_workspace(workspace["workspace_id"])


@pytest.fixture
def ws(made: dict[str, Any]) -> str:
    return str(made["workspace_id"])


def test_create_tells_what_was_asked_for(made: dict[str, Any], project: Path) -> None:
    told = {key: made[key] for key in ("name", "labels", "state", "ttl_seconds", "vcpu_count", "mem_mib")}
    assert told == {
        "name": "repro",
        "labels": {"issue": "9"},
        "state": "started",
        "ttl_seconds": 600,
        "vcpu_count": 1,
        "mem_mib": 1024,
    }
    seed = made["workspace_seed"]
    assert (seed["mode"], seed["seed_path"], seed["entry_count"]) == ("directory", str(project), 3)
    kinds = [(one["name"], one["source_kind"]) for one in made["secrets"]]
    assert sorted(kinds) == [("API_TOKEN", "literal"), ("FILE_TOKEN", "file")]


def test_commands(pyro: Pyro, ws: str) -> None:
    done = pyro.exec_workspace(ws, command="pwd; ./bin/app.sh; echo no >&2; exit 3")
    assert (done["stdout"], done["stderr"], done["exit_code"]) == ("/workspace\nbroken\n", "no\n", 3)
    hidden = pyro.exec_workspace(ws, command='echo "$TOKEN"', secret_env={"API_TOKEN": "TOKEN"})
    assert hidden["stdout"] == "[REDACTED]\n"
    late = pyro.exec_workspace(ws, command="echo begun; sleep 60", timeout_seconds=1)
    assert (late["exit_code"], late["stdout"]) == (124, "begun\n")
    logs = pyro.logs_workspace(ws)
    assert [one["sequence"] for one in logs["entries"]] == list(range(1, logs["count"] + 1))
    assert logs["entries"][-1]["stdout"] == "begun\n"


def test_files_and_patches(pyro: Pyro, ws: str) -> None:
    pyro.write_workspace_file(ws, "src/note.txt", text="höher\n")
    read = pyro.read_workspace_file(ws, "src/note.txt")
    assert (read["content"], read["truncated"], read["size_bytes"]) == ("höher\n", False, 7)
    assert pyro.read_workspace_file(ws, "src/note.txt", max_bytes=2)["truncated"]
    patch = "--- a/src/app.sh\n+++ b/src/app.sh\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-echo broken\n+echo fixed\n"
    applied = pyro.apply_workspace_patch(ws, patch=patch)
    assert (applied["changed"], applied["summary"]["modified"]) == (True, 1)
    assert pyro.exec_workspace(ws, command="src/app.sh")["stdout"] == "fixed\n"
    listed = pyro.list_workspace_files(ws, path="src", recursive=True)
    assert [one["path"] for one in listed["entries"]] == ["/workspace/src/app.sh", "/workspace/src/note.txt"]
    diff = pyro.diff_workspace(ws)
    changes = {(one["path"], one["status"]) for one in diff["entries"]}
    assert changes >= {("src/app.sh", "modified"), ("src/note.txt", "added")}


def test_trees_in_and_out(pyro: Pyro, ws: str, tmp_path: Path) -> None:
    more = tmp_path / "more"
    more.mkdir()
    (more / "run").write_text("#!/bin/sh\n")
    (more / "run").chmod(0o755)
    with tarfile.open(tmp_path / "more.tar.gz", "w:gz") as archive:
        archive.add(more / "run", "run")
    for source, mode in ((more, "directory"), (tmp_path / "more.tar.gz", "tar_archive")):
        sync = pyro.push_workspace_sync(ws, source, dest=f"in/{mode}")["workspace_sync"]
        assert (sync["mode"], sync["entry_count"]) == (mode, 1)
        assert sync["destination"] == f"/workspace/in/{mode}"
    output = tmp_path / "new" / "out"
    exported = pyro.export_workspace(ws, "in", output_path=output)
    assert (exported["artifact_type"], exported["output_path"]) == ("directory", str(output))
    assert (output / "directory" / "run").stat().st_mode & 0o777 == 0o755
    with pytest.raises(RuntimeError, match="exists"):
        pyro.export_workspace(ws, "in", output_path=output)
    one = pyro.export_workspace(ws, "/workspace/in/directory/run", output_path=str(tmp_path / "one"))
    assert (one["artifact_type"], (tmp_path / "one").read_text()) == ("file", "#!/bin/sh\n")


def test_shells(pyro: Pyro, ws: str) -> None:
    shell = pyro.open_shell(ws, cwd="src", cols=80, rows=24)
    shell_id = shell["shell_id"]
    assert (shell["cols"], shell["rows"], shell["cwd"]) == (80, 24, "/workspace/src")
    first = pyro.read_shell(ws, shell_id, plain=True, wait_for_idle_ms=300)
    written = pyro.write_shell(ws, shell_id, input="pwd; echo $((40 + 2))")
    assert (written["input_length"], written["append_newline"]) == (21, True)
    output, cursor = "", first["next_cursor"]
    while "42\n" not in output:
        read = pyro.read_shell(ws, shell_id, cursor=cursor, plain=True, wait_for_idle_ms=300)
        output, cursor = output + read["output"], read["next_cursor"]
    assert "/workspace/src\n42\n" in output
    pyro.write_shell(ws, shell_id, input="sleep 60")
    assert pyro.signal_shell(ws, shell_id, signal_name="int")["signal"] == "INT"
    assert pyro.close_shell(ws, shell_id)["closed"]
    with pytest.raises(ValueError, match=shell_id):
        pyro.read_shell(ws, shell_id)


def test_services(pyro: Pyro, ws: str) -> None:
    service = pyro.start_service(
        ws,
        "web",
        command="echo up; touch .ready; exec sleep 600",
        readiness={"type": "file", "path": ".ready"},
        ready_interval_ms=50,
    )
    assert (service["state"], service["readiness"]["type"]) == ("running", "file")
    assert pyro.list_services(ws)["running_count"] == 1
    assert pyro.status_service(ws, "web")["state"] == "running"
    for logs in (pyro.logs_service(ws, "web"), pyro.logs_service(ws, "web", all=True)):
        assert logs["stdout"] == "up\n"
    assert pyro.logs_service(ws, "web", all=True)["tail_lines"] is None
    stopped = pyro.stop_service(ws, "web")
    assert (stopped["state"], stopped["stop_reason"]) == ("stopped", "sigterm")
    failed = pyro.start_service(
        ws, "bad", command="exit 7", readiness={"type": "command", "command": "false"}
    )
    assert (failed["state"], failed["stop_reason"]) == ("failed", "process_exited_before_ready")


def test_snapshots_stop_and_disk(pyro: Pyro, place: Path, tmp_path: Path) -> None:
    ws = pyro.create_workspace(environment="host", ttl_seconds=120)["workspace_id"]
    pyro.write_workspace_file(ws, "a", text="1")
    assert pyro.create_snapshot(ws, "one")["snapshot"]["kind"] == "named"
    pyro.write_workspace_file(ws, "a", text="2")
    names = [one["snapshot_name"] for one in pyro.list_snapshots(ws)["snapshots"]]
    assert names == ["baseline", "one"]
    reset = pyro.reset_workspace(ws, snapshot="one")
    assert (reset["reset_count"], reset["workspace_reset"]["snapshot_name"]) == (1, "one")
    assert pyro.read_workspace_file(ws, "a")["content"] == "1"
    assert pyro.delete_snapshot(ws, "one")["deleted"]
    with pytest.raises(ValueError, match="one"):
        pyro.reset_workspace(ws, snapshot="one")

    assert pyro.stop_workspace(ws)["state"] == "stopped"
    with pytest.raises(RuntimeError, match="stopped"):
        pyro.exec_workspace(ws, command="true")
    assert [one["path"] for one in pyro.list_workspace_disk(ws)["entries"]] == ["/workspace/a"]
    assert pyro.read_workspace_disk(ws, "a")["content"] == "1"
    disk = pyro.export_workspace_disk(ws, output_path=tmp_path / "disk.tar")
    assert disk["bytes_written"] == (tmp_path / "disk.tar").stat().st_size
    with tarfile.open(tmp_path / "disk.tar") as archive:
        assert archive.getnames() == ["a"]
    assert pyro.start_workspace(ws)["state"] == "started"
    assert pyro.exec_workspace(ws, command="cat a")["stdout"] == "1"
    summary = pyro.summarize_workspace(ws)
    assert summary["outcome"]["status"] == "succeeded"
    assert pyro.delete_workspace(ws) == {"workspace_id": ws, "deleted": True, "reason": "explicit_delete"}
    with pytest.raises(ValueError, match=ws):
        pyro.status_workspace(ws)


def test_update_and_list(pyro: Pyro, ws: str) -> None:
    changed = pyro.update_workspace(ws, name="other", labels={"a": "b"}, clear_labels=["issue"])
    assert (changed["name"], changed["labels"]) == ("other", {"a": "b"})
    assert pyro.update_workspace(ws, clear_name=True)["name"] is None
    assert pyro.list_workspaces()["workspaces"][0]["workspace_id"] == ws


def test_sandboxes_for_one_command(pyro: Pyro) -> None:
    vm = pyro.create_vm(environment="host", mem_mib=512)
    vm_id = vm["vm_id"]
    assert (vm["state"], vm["mem_mib"], vm["execution_mode"]) == ("created", 512, "pending")
    with pytest.raises(RuntimeError, match="not started"):
        pyro.exec_vm(vm_id, command="true")
    assert pyro.start_vm(vm_id)["state"] == "started"
    network = pyro.network_info_vm(vm_id)
    assert (network["network_enabled"], network["outbound_connectivity_expected"]) == (False, False)
    done = pyro.exec_vm(vm_id, command="echo once", timeout_seconds=10)
    assert (done["stdout"], done["cleanup"]["reason"]) == ("once\n", "post_exec_cleanup")
    with pytest.raises(ValueError, match=vm_id):
        pyro.status_vm(vm_id)
    assert pyro.reap_expired() == {"deleted_vm_ids": [], "count": 0}


def test_environments(pyro: Pyro) -> None:
    assert [one["name"] for one in pyro.list_environments()] == ["host"]
    assert pyro.inspect_environment("host")["installed"] is True
    assert pyro.pull_environment("host")["source"] == "host"
    assert pyro.prune_environments() == {"deleted_environment_dirs": [], "count": 0}
    with pytest.raises(ValueError, match="no-such"):
        pyro.inspect_environment("no-such")
    with pytest.raises(ValueError, match="no-such"):
        pyro.create_workspace(environment="no-such")


def test_what_is_refused_is_a_value_error(pyro: Pyro, ws: str) -> None:
    refused: list[Callable[[], object]] = [
        lambda: pyro.update_workspace(ws),
        lambda: pyro.create_workspace(environment="host", mem_mib=1),
        lambda: pyro.create_workspace(environment="host", ttl_seconds=10),
        lambda: pyro.create_workspace(environment="host", network_policy="all"),
        lambda: pyro.create_workspace(environment="host", seed_path="/no/such/place"),
        lambda: pyro.create_workspace(environment="host", labels={"": "x"}),
        lambda: pyro.exec_workspace("000000000000", command="true"),
        lambda: pyro.exec_workspace("../x", command="true"),
        lambda: pyro.exec_workspace(ws, command="true", secret_env={"NO_SUCH": "X"}),
        lambda: pyro.read_workspace_file(ws, "../etc/passwd"),
        lambda: pyro.create_snapshot(ws, "baseline"),
        lambda: pyro.signal_shell(ws, "000000000000", signal_name="USR1"),
        lambda: pyro.status_service(ws, "none"),
    ]
    for call in refused:
        with pytest.raises(ValueError) as caught:  # noqa: PT011 - of each another text
            call()
        assert isinstance(caught.value, PyroError)


def test_a_missing_file_is_what_a_guest_says(pyro: Pyro, ws: str) -> None:
    with pytest.raises(RuntimeError, match="does not exist"):
        pyro.read_workspace_file(ws, "no/such/file")


def test_a_base_dir_of_its_own(place: Path) -> None:
    manager = VmManager(base_dir=place / "other", cache_dir=place / "cache", max_active_vms=1)
    pyro = Pyro(manager)
    try:
        ws = pyro.create_workspace(environment="host")["workspace_id"]
        assert (place / "other").is_dir()
        assert ws not in {one["workspace_id"] for one in Pyro().list_workspaces()["workspaces"]}
        with pytest.raises(RuntimeError):  # no more than one
            pyro.create_workspace(environment="host")
        pyro.delete_workspace(ws)
    finally:
        close(manager)


def test_the_mock_backend_runs_on_this_machine(place: Path) -> None:
    pyro = Pyro(backend_name="mock")
    done = pyro.run_in_vm(environment="host", command="echo $((1 + 1))")
    assert (done["stdout"], done["execution_mode"]) == ("2\n", "host_compat")
    ws = pyro.create_workspace(environment="host")["workspace_id"]
    assert pyro.exec_workspace(ws, command="echo here")["execution_mode"] == "host_compat"
    pyro.stop_workspace(ws)
    assert pyro.start_workspace(ws)["execution_mode"] == "host_compat"
    pyro.delete_workspace(ws)


def test_the_server_for_agents(place: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    }
    ready = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    tools = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    done = subprocess.run(
        [sys.executable, "-c", "from pyro_mcp import create_server; create_server().run()"],
        input="".join(json.dumps(one) + "\n" for one in (hello, ready, tools)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    answers = {one["id"]: one["result"] for one in map(json.loads, done.stdout.splitlines())}
    assert {"vm_run", "workspace_create", "service_start"} <= {one["name"] for one in answers[2]["tools"]}
