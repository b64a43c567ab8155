// Package clone makes one tar archive of a git repository that has an address: the files
// of a commit, and a .git with its history, as git would have cloned it.
//
// The repository belongs to strangers, and the host's git fetches it. What that git does
// here is kept small: it asks what a name stands for (ls-remote), gets a pack (fetch) into
// an empty repository of ours, and lists and prints objects. There is never a work tree on
// the host. So hooks, filters, submodules, symlinks, and names that differ only in case
// have nothing to act on; the files go from the object store into the archive, and become
// files again in the sandbox alone. No configuration is read but what stands in git.go, no
// template is copied, no protocol is spoken but that of the address, nobody is asked for a
// password, and the environment is built from nothing.
//
// A name and a password in an address are given to git alone, and only for that host. They
// are in no argument, which others on the machine could read, and in nothing that is kept
// or shown.
//
// Archives are kept in a directory of the cache by address, name and commit, up to a limit.
// What a killed process has left there goes with the next call.
package clone
