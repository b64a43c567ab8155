// Package archive moves trees of files as tar, in and out, within a root that
// cannot be left: neither a name nor a link, whether it comes in the archive,
// stood there before or is swapped in while the work goes on, leads to a file
// outside. It serves both sides of the wall. In the guest it fills and packs
// /workspace, where other processes are at work in the same tree; on the host it
// packs what a user hands in and unpacks what a guest hands out.
//
// Pack and Writer write archives, Walk tells what they would write, Unpack makes
// files of them. Archives as users make them, compressed and in any dialect, become
// clean ones through Repack first, and Index lists a clean one with digests.
//
// How the root is held: every path is split into its parts, a part ".." is
// refused, and each part is opened relative to the descriptor of the one before
// with O_NOFOLLOW. A name without ".." that is resolved without links cannot leave
// its root, which is what openat2(2) promises with RESOLVE_BENEATH and
// RESOLVE_NO_SYMLINKS. The walk needs neither that call, which seccomp filters of
// containers often withhold, nor /proc. os.Root does not serve here, because it
// follows links that stay inside.
//
// This is as true as the kernel's O_NOFOLLOW. That of gVisor (2026) follows a link that
// is exchanged with a directory while this is opened. So inside a sandbox one process
// of the guest may get the agent to read or write another file of the same guest,
// where both are root anyway; nothing on the host is concerned.
//
// What the package is not: it does not replace a tree in one step (an error leaves
// the members before it in place, so whoever needs all or nothing unpacks into a
// new directory and renames that), it deletes nothing that is not in the archive,
// and it carries no owners, extended attributes, access control lists or devices.
// Names are bytes, as for the kernel; who unpacks where other file systems and
// people read them asks for NamesPortable.
package archive
