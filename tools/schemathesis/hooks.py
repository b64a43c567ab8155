"""What schemathesis does not know: which workspaces there are, and what takes long.

The fixtures are made when this is loaded. Values that the description allows are replaced by
those of the fixtures, most of the time; what it does not allow goes out as it is.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import re
import tarfile
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

URL = os.environ["PYRO_TEST_URL"]
TOKEN = os.environ["PYRO_TEST_TOKEN"]
KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")
ID = re.compile(r"[0-9a-f]{12}\Z")


def call(method: str, path: str, body: Any = None) -> Any:
    """Ask the server for something that has to succeed."""
    request = urllib.request.Request(URL + path, method=method)
    request.add_header("Authorization", "Bearer " + TOKEN)
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def create(name: str) -> str:
    made = call("POST", "/v1/workspaces", {"environment": "host", "name": name, "ttl_seconds": 3600})
    return str(made["workspace_id"])


def open_shell() -> str:
    return str(call("POST", f"/v1/workspaces/{RUNS}/shells", {})["shell_id"])


def create_vm() -> str:
    return str(call("POST", "/v1/vms", {"environment": "host"})["vm_id"])


def start_vm() -> str:
    vm = create_vm()
    call("POST", f"/v1/vms/{vm}/start")
    return vm


# One runs and is used, one is stopped and looked into, one has its life changed.
RUNS, STOPPED, LIVES = create("runs"), create("stopped"), create("lives")
SHELL, VM = open_shell(), create_vm()
SERVICE, SECRET, SNAPSHOT = "web", "API_TOKEN", "first"

call("POST", f"/v1/workspaces/{RUNS}/exec", {"command": "mkdir -p a/b; echo hello >a/b/c; ln -s a l; head -c 3000 /dev/zero >r"})
call("POST", f"/v1/workspaces/{RUNS}/services", {"service_name": SERVICE, "argv": ["sleep", "3600"]})
call("PUT", f"/v1/workspaces/{RUNS}/secrets/{SECRET}", {"value": "s3cr3t", "source_kind": "literal"})
call("POST", f"/v1/workspaces/{RUNS}/snapshots", {"snapshot_name": SNAPSHOT})
call("POST", f"/v1/workspaces/{STOPPED}/exec", {"command": "echo kept >kept"})
call("POST", f"/v1/workspaces/{STOPPED}/stop", {})

OF_LIVES = {"stopWorkspace", "startWorkspace", "resetWorkspace", "forkWorkspace"}
OF_STOPPED = {"listDisk", "readDisk", "exportDisk"}
OF_VM = {"getVM", "vmNetwork"}
PATHS = ("a/b/c", "a", "l", "r", "/workspace/a/b")

# What the operation removes, or changes for good: a workspace or VM, and a shell.
FRESH = {
    "deleteWorkspace": lambda: (create("gone"), SHELL),
    "closeShell": lambda: (RUNS, open_shell()),
    "deleteVM": lambda: (create_vm(), SHELL),
    "startVM": lambda: (create_vm(), SHELL),
    "stopVM": lambda: (start_vm(), SHELL),
    "execVM": lambda: (start_vm(), SHELL),
}

# How often an operation may succeed that boots a sandbox, saves a disk or needs something
# fresh. From then on it is asked for what is not there.
MOST = {"createWorkspace": 4, "createVM": 4, "run": 3, "prepare": 1, "createSnapshot": 2, "forkWorkspace": 1}
MOST |= {"startWorkspace": 2, "stopWorkspace": 2, "resetWorkspace": 2}
MOST |= dict.fromkeys(FRESH, 2)
MADE = {"createWorkspace": "/v1/workspaces/", "createVM": "/v1/vms/"}

fresh: dict[str, tuple[str, str]] = {}  # until it is used up
succeeded: Counter[str] = Counter()
answers: Counter[tuple[str, int]] = Counter()
asked = 0


@atexit.register
def tell() -> None:
    """Say how often each operation was answered with which status, a line each."""
    lines = [f"{op} {status} {n}\n" for (op, status), n in sorted(answers.items())]
    Path(os.environ["PYRO_TEST_ANSWERS"]).write_text("".join(lines))


def tree(*names: str) -> bytes:
    """Archive empty files, without what differs from run to run."""
    with io.BytesIO() as out:
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name in names:
                archive.addfile(tarfile.TarInfo(name))
        return out.getvalue()


PATCH = b"--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n"
LINE = b'{"p": "YQ==", "k": "file", "m": 420, "s": 0, "t": 0}\n'
for media_type, samples in {
    "application/x-tar": [tree(), tree("x"), tree("../x"), tree("x")[:700]],
    "application/x-ndjson": [b"", LINE, LINE * 3],
    "text/x-patch": [PATCH, PATCH * 2],
}.items():
    schemathesis.openapi.media_type(media_type, st.sampled_from(samples) | st.binary(max_size=600))


def operation(case: Any) -> str:
    return str(case.operation.definition.raw["operationId"])


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Aim a request at what is there, and bound what it may take."""
    global asked
    asked += 1
    op = operation(case)
    spent = op in MOST and succeeded[op] >= MOST[op]
    if case.path_parameters and asked % 8 and not spent:
        aim(op, case.path_parameters)
    if isinstance(case.query, dict):
        aim_query(op, case.query)
    if isinstance(case.body, dict):
        form = case.body.get("request")
        bound(op, form if isinstance(form, dict) else case.body, spent)


def aim(op: str, path: dict[str, Any]) -> None:
    place, shell = RUNS, SHELL
    if op in FRESH:
        if not all(ID.match(str(value)) for value in path.values()):
            return
        if op not in fresh:
            fresh[op] = FRESH[op]()
        place, shell = fresh[op]
    elif op in OF_VM:
        place = VM
    elif op in OF_LIVES:
        place = LIVES
    elif op in OF_STOPPED or (asked % 16 == 7 and op not in MOST):
        place = STOPPED
    known = {"id": (ID, place), "shell": (ID, shell), "service": (KEY, SERVICE), "secret": (KEY, SECRET), "snapshot": (KEY, SNAPSHOT)}
    for name, (form, there) in known.items():
        if isinstance(path.get(name), str) and form.match(path[name]):
            path[name] = there


def aim_query(op: str, query: dict[str, Any]) -> None:
    if isinstance(query.get("path"), str) and 0 < len(query["path"]) < 200 and asked % 3:
        query["path"] = "kept" if op in OF_STOPPED else PATHS[asked % len(PATHS)]
    if str(query.get("lease")).lower() == "true":  # its answer has no end
        query["lease"] = "false"
    wait = str(query.get("wait_for_idle_ms"))
    if wait.isdecimal() and 50 < int(wait) <= 10000:
        query["wait_for_idle_ms"] = 50


def bound(op: str, body: dict[str, Any], spent: bool) -> None:
    for part in (body, body.get("workspace"), body.get("exec")):
        if not isinstance(part, dict):
            continue
        for name, most in (("timeout_seconds", 2), ("ready_timeout_seconds", 1), ("count", 2), ("disk_mib", 64)):
            value = part.get(name)
            if isinstance(value, int) and most < value <= 1048576:
                part[name] = most
        if part.get("engine") == "host-compat":  # nothing runs on this machine
            part["engine"] = "gvisor"
        if op in MOST and isinstance(part.get("environment"), str) and part["environment"]:
            part["environment"] = "nowhere" if spent else "host"


@schemathesis.hook
def after_call(context: Any, case: Any, response: Any) -> None:
    """Count what came of it, and remove what was made."""
    op = operation(case)
    answers[op, response.status_code] += 1
    if op not in MOST or response.status_code != 200:
        return
    succeeded[op] += 1
    fresh.pop(op, None)
    answer = response.json()
    if op in MADE:
        call("DELETE", MADE[op] + (answer.get("workspace_id") or answer["vm_id"]))
    for made in answer.get("workspaces", []):
        call("DELETE", "/v1/workspaces/" + made["workspace_id"])
