"""Changes files in every way there is. Of each way there is a directory in which f holds
SIZE bytes; what is made before the first turn is made then, the change comes after it.
A way that the kernel does not have is named on standard output."""

import ctypes
import errno
import os
import signal
import struct
import sys

SIZE = 8192
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
READ, WRITE, SHARED, PRIVATE, POPULATE = 1, 2, 1, 2, 0x8000
NEW = b"n" * 4096

ways = {}


def way(f):
    """One that is all of it a change; a generator does the first part before the turn."""
    ways[f.__name__] = f


def check(result):
    if result in (-1, ctypes.c_void_p(-1).value):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def opened(flags=os.O_RDWR, name="f"):
    return os.open(name, flags)


def mapped(fd=None, prot=READ | WRITE, flags=SHARED):
    own = fd is None
    fd = opened() if own else fd
    at = check(libc.mmap(None, SIZE, prot, flags, fd, 0))
    if own:
        os.close(fd)
    return at


def poke(at):
    ctypes.memmove(at + 100, b"poked", 5)


def other(name="other"):
    with open(name, "wb") as f:
        f.write(NEW * 2)
    return name


def child(do):
    pid = os.fork()
    if pid == 0:
        do()
        os._exit(0)
    if os.waitpid(pid, 0)[1] != 0:
        raise RuntimeError("the child failed")


# Descriptors.


@way
def write():
    os.write(opened(), NEW)


@way
def pwrite():
    os.pwrite(opened(), NEW, 4096)


@way
def writev():
    os.writev(opened(), [b"a", b"b"])


@way
def write_through_an_old_descriptor():
    fd = opened()
    yield
    os.write(fd, NEW)


@way
def write_and_set_the_times_back():
    was = os.stat("f")
    os.write(opened(), NEW)
    os.utime("f", ns=(was.st_atime_ns, was.st_mtime_ns))


@way
def rewrite():
    os.write(opened(os.O_WRONLY | os.O_TRUNC), NEW * 2)


@way
def truncate_and_grow():
    os.truncate("f", 10)
    os.truncate("f", SIZE)


@way
def truncate_and_fallocate():
    os.truncate("f", 10)
    os.posix_fallocate(opened(), 0, SIZE)


@way
def direct():
    at = mapped(-1, flags=PRIVATE | 0x20)
    poke(at)
    if libc.pwrite(opened(os.O_RDWR | os.O_DIRECT), ctypes.c_void_p(at), SIZE, 0) != SIZE:
        check(-1)


def fallocate(mode):
    if libc.fallocate(opened(), mode, ctypes.c_long(0), ctypes.c_long(4096)) != 0:
        check(-1)


@way
def punch_hole():
    fallocate(3)


@way
def zero_range():
    fallocate(0x10)


@way
def collapse_range():
    fallocate(8)


@way
def splice():
    r, w = os.pipe()
    os.write(w, NEW)
    os.splice(r, opened(), 4096, offset_dst=0)


@way
def sendfile():
    os.sendfile(opened(), opened(name=other()), 0, SIZE)


@way
def copy_file_range():
    os.copy_file_range(opened(name=other()), opened(), SIZE)


@way
def clone():
    if libc.ioctl(opened(), 0x40049409, opened(name=other())) != 0:
        check(-1)


@way
def aio():
    context = ctypes.c_ulong(0)
    check(libc.syscall(206, 8, ctypes.byref(context)))
    data = ctypes.create_string_buffer(NEW)
    block = ctypes.create_string_buffer(struct.pack("=QIIHhIQQqQII", 0, 0, 0, 1, 0, opened(), ctypes.addressof(data), 4096, 0, 0, 0, 0))
    blocks = (ctypes.c_void_p * 1)(ctypes.addressof(block))
    check(libc.syscall(209, context, ctypes.c_long(1), blocks))
    check(libc.syscall(208, context, ctypes.c_long(1), ctypes.c_long(1), ctypes.create_string_buffer(32), None))


@way
def io_uring():
    check(libc.syscall(425, 8, ctypes.create_string_buffer(120)))
    raise RuntimeError("there is an io_uring: write the way")


# Names.


@way
def rename():
    was = os.stat("f")
    os.utime(other(), ns=(was.st_atime_ns, was.st_mtime_ns))
    os.rename("other", "f")


@way
def rename_of_an_old_file():
    other()
    yield
    os.rename("other", "f")


@way
def unlink_and_create():
    os.unlink("f")
    other("f")


@way
def exchange_of_files():
    other()
    yield
    check(libc.renameat2(-100, b"f", -100, b"other", 2))


@way
def exchange_of_directories():
    here = os.path.basename(os.getcwd())
    os.mkdir("d")
    other("d/f")
    yield
    os.chdir("..")
    os.rename(here + "/d", "aside")
    check(libc.renameat2(-100, here.encode(), -100, b"aside", 2))


@way
def write_to_another_name():
    os.link("f", "again")
    yield
    os.write(opened(name="again"), NEW)


@way
def another_name_in_its_place():
    other()
    yield
    os.unlink("f")
    os.link("other", "f")


# Shared mappings.


@way
def map_and_write():
    poke(mapped())


@way
def map_write_sync_and_unmap():
    at = mapped(flags=SHARED | POPULATE)
    poke(at)
    check(libc.msync(ctypes.c_void_p(at), SIZE, 4))
    check(libc.munmap(at, SIZE))


@way
def old_mapping():
    at = mapped()
    yield
    poke(at)


@way
def old_mapping_that_is_dirty():
    at = mapped()
    ctypes.memmove(at, b"dirty", 5)
    yield
    poke(at)


@way
def old_mapping_made_writable():
    at = mapped(prot=READ)
    yield
    check(libc.mprotect(at, SIZE, READ | WRITE))
    poke(at)


@way
def old_mapping_of_nothing_made_writable():
    at = mapped(prot=0)
    yield
    check(libc.mprotect(at, SIZE, READ | WRITE))
    poke(at)


@way
def old_mapping_that_moves():
    at = mapped()
    yield
    poke(check(libc.mremap(at, SIZE, SIZE * 2, 1)))


@way
def mapping_of_a_parent():
    at = mapped()
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(r, 1)
        poke(at)
        os._exit(0)
    check(libc.munmap(at, SIZE))
    yield
    os.write(w, b"x")
    os.waitpid(pid, 0)


@way
def mapping_of_a_child():
    child(lambda: poke(mapped()))


@way
def read_into_a_mapping():
    at = mapped()
    yield
    if libc.read(opened(name=other()), ctypes.c_void_p(at), 4096) != 4096:
        check(-1)


def beside(do):
    """Has a child with an old mapping wait while do gets its number and the address."""
    at = mapped()
    pid = os.fork()
    if pid == 0:
        signal.pause()
    check(libc.munmap(at, SIZE))
    yield
    try:
        do(pid, at)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


class Vector(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


@way
def process_vm_writev():
    def do(pid, at):
        data = ctypes.create_string_buffer(b"poked")
        there, here = Vector(at, 5), Vector(ctypes.addressof(data), 5)
        check(libc.process_vm_writev(pid, ctypes.byref(here), ctypes.c_ulong(1), ctypes.byref(there), ctypes.c_ulong(1), ctypes.c_ulong(0)))

    yield from beside(do)


@way
def proc_mem():
    def do(pid, at):
        fd = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        os.pwrite(fd, b"poked", at)

    yield from beside(do)


@way
def ptrace():
    def do(pid, at):
        check(libc.ptrace(16, pid, None, None))
        os.waitpid(pid, 0)
        check(libc.ptrace(5, pid, ctypes.c_void_p(at), ctypes.c_void_p(0x6B6F70)))

    yield from beside(do)


@way
def mapping_of_another_name():
    os.link("f", "again")
    yield
    poke(mapped(opened(name="again")))


@way
def mapping_by_proc():
    poke(mapped(os.open(f"/proc/self/fd/{opened(os.O_RDONLY)}", os.O_RDWR)))


@way
def mapping_of_a_file_without_a_name():
    at = mapped(opened())
    os.rename("f", "g")
    yield
    os.rename("g", "f")
    poke(at)


@way
def mapping_of_a_descriptor_that_was_sent():
    import socket

    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [opened()])
    poke(mapped(socket.recv_fds(b, 1, 1)[1][0]))


def overlaid():
    """Changes a file of an overlay of the guest's own, which is none of those here."""
    check(libc.unshare(0x10000000 | 0x20000))
    for d in "lower", "upper", "work", "seen":
        os.mkdir("/run/" + d)
    check(libc.mount(b"none", b"/run/seen", b"overlay", 0, b"lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work"))
    fd = opened(os.O_RDWR | os.O_CREAT, "/run/seen/f")
    os.write(fd, NEW)
    poke(mapped(fd))


# What changes nothing.


def same_untouched():
    yield


def same_mapped_for_reading():
    mapped(opened(os.O_RDONLY), prot=READ)
    yield


def same_mapped_privately():
    at = mapped(flags=PRIVATE)
    yield
    poke(at)


def turn():
    with open("/run/done", "w") as f:
        f.write("x")
    open("/run/turn").read()


def main(names):
    every = dict(ways, **{f.__name__: f for f in (overlaid, same_untouched, same_mapped_for_reading, same_mapped_privately)})
    if not names:
        names = [name for name in every if name != "overlaid"]
    missing, begun = [], []
    for name in names:
        os.makedirs("/workspace/" + name)
        os.chdir("/workspace/" + name)
        with open("f", "wb") as f:
            f.write(b"o" * SIZE)
    for name in names:
        os.chdir("/workspace/" + name)
        do = every[name]
        if do.__code__.co_flags & 0x20:  # a generator
            going = do()
            next(going)
            do = lambda going=going: next(going, None)
        begun.append((name, do))
    turn()
    for name, do in begun:
        os.chdir("/workspace/" + name)
        try:
            do()
        except OSError as e:
            if e.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL, errno.EPERM, errno.EACCES):
                raise RuntimeError(name) from e
            missing.append(f"{name} {errno.errorcode[e.errno]}")
        except Exception as e:
            raise RuntimeError(name) from e
    print("\n".join(missing), flush=True)
    turn()


main(sys.argv[1:])
