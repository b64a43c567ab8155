"""wheel.py WHEEL OUT PLATFORM… writes a wheel anew for platforms, into the directory OUT.

What setuptools makes says that it fits any machine. Here the tags say for which it is, and
nothing of the build's time, umask or order of files is left.
"""

import base64
import hashlib
import sys
import zipfile
from pathlib import Path, PurePosixPath

EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip file knows


def retagged(text: str, platforms: list[str]) -> str:
    """Return the file WHEEL with other tags."""
    lines = [line for line in text.splitlines() if line and not line.startswith(("Tag:", "Root-Is-Purelib:"))]
    lines.append("Root-Is-Purelib: false")
    lines += [f"Tag: py3-none-{platform}" for platform in platforms]
    return "\n".join(lines) + "\n"


def recorded(name: str, data: bytes) -> str:
    """Return the line of RECORD about a file."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def member(name: str) -> zipfile.ZipInfo:
    """Return the head of a file."""
    info = zipfile.ZipInfo(name, EPOCH)
    mode = 0o755 if PurePosixPath(name).match("*/bin/pyro") else 0o644
    info.external_attr = (0o100000 | mode) << 16
    info.create_system = 3  # whose modes count
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def main(wheel: str, out: str, *platforms: str) -> None:
    """Write the wheel."""
    with zipfile.ZipFile(wheel) as pure:
        files = {name: pure.read(name) for name in sorted(pure.namelist()) if not name.endswith("/")}
    (record,) = (name for name in files if name.endswith(".dist-info/RECORD"))
    tags = record.replace("RECORD", "WHEEL")
    files[tags] = retagged(files[tags].decode(), list(platforms)).encode()
    del files[record]
    lines = "".join(recorded(name, data) for name, data in files.items())
    files[record] = f"{lines}{record},,\n".encode()  # it stands at the end
    project, version, _ = Path(wheel).name.split("-", 2)
    target = Path(out) / f"{project}-{version}-py3-none-{'.'.join(platforms)}.whl"
    with zipfile.ZipFile(target, "w") as platform:
        for name, data in files.items():
            platform.writestr(member(name), data, compresslevel=6)
    print(target)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
