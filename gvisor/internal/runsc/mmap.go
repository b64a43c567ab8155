package runsc

import (
	"fmt"

	abi "gvisor.dev/gvisor/pkg/abi/linux"
	"gvisor.dev/gvisor/pkg/errors/linuxerr"
	"gvisor.dev/gvisor/pkg/hostarch"
	"gvisor.dev/gvisor/pkg/sentry/arch"
	"gvisor.dev/gvisor/pkg/sentry/fsimpl/tmpfs"
	"gvisor.dev/gvisor/pkg/sentry/kernel"
	"gvisor.dev/gvisor/pkg/sentry/memmap"
	"gvisor.dev/gvisor/pkg/sentry/syscalls/linux"
	"gvisor.dev/gvisor/pkg/sentry/vfs"
)

// tellShared makes mmap(2) remember the files that are mapped so that a write to memory
// changes them, and statx(2) tell them, see attrUnseen. gVisor changes no time of a file
// when that is done, and nothing else tells that it was.
//
// mmap is the only way to such a mapping: mprotect makes no more of one than its
// descriptor allowed, and fork and mremap copy what there is. What is remembered is so for
// as long as the Sentry lives, and is not saved with its memory.
func tellShared(s *sharedFiles) error {
	for _, table := range []*kernel.SyscallTable{linux.AMD64, linux.ARM64} {
		for name, with := range map[string]func(kernel.SyscallFn) kernel.SyscallFn{"mmap": s.withShared, "statx": s.withUnseen} {
			number, err := table.LookupNo(name)
			if err != nil {
				return fmt.Errorf("%v: %w", table.Arch, err)
			}
			call := table.Table[number]
			call.Fn = with(call.Fn)
			table.Table[number] = call
		}
		table.Init()
	}
	return nil
}

// The places of the arguments of mmap.
const (
	mmapAddr = iota
	mmapLength
	mmapProt
	mmapFlags
	mmapFD
	mmapOffset
)

// withShared is mmap that remembers. Shared mappings of files it makes itself: what the
// original did with the number of a descriptor, which another thread may have given to
// another file meanwhile, could not be known.
func (s *sharedFiles) withShared(mmap kernel.SyscallFn) kernel.SyscallFn {
	return func(t *kernel.Task, sysno uintptr, args arch.SyscallArguments) (uintptr, *kernel.SyscallControl, error) {
		if !sharesFile(args[mmapFlags].Int()) {
			return mmap(t, sysno, args)
		}
		file := t.GetFile(args[mmapFD].Int())
		if file == nil {
			return 0, nil, linuxerr.EBADF
		}
		defer file.DecRef(t)
		addr, err := s.mapFile(t, file, sharedOpts(args))
		return uintptr(addr), nil, err
	}
}

// sharesFile reports whether these flags of mmap ask for a shared mapping of a file. One
// that is private too, as MAP_SHARED_VALIDATE is, gVisor refuses.
func sharesFile(flags int32) bool {
	return flags&(abi.MAP_SHARED|abi.MAP_PRIVATE|abi.MAP_ANONYMOUS) == abi.MAP_SHARED
}

// sharedOpts are the arguments of mmap in gVisor's own words, before the file has a say.
func sharedOpts(args arch.SyscallArguments) memmap.MMapOpts {
	prot, flags := args[mmapProt].Int(), args[mmapFlags].Int()
	only := flags&abi.MAP_FIXED_NOREPLACE != 0
	opts := memmap.MMapOpts{
		Addr:      args[mmapAddr].Pointer(),
		Length:    args[mmapLength].Uint64(),
		Offset:    args[mmapOffset].Uint64(),
		Fixed:     flags&(abi.MAP_FIXED|abi.MAP_FIXED_NOREPLACE) != 0,
		Unmap:     flags&abi.MAP_FIXED != 0 && !only,
		NoReplace: only,
		Map32Bit:  flags&abi.MAP_32BIT != 0,
		GrowsDown: flags&abi.MAP_GROWSDOWN != 0,
		Stack:     flags&abi.MAP_STACK != 0,
		Perms:     hostarch.AccessType{Read: prot&abi.PROT_READ != 0, Write: prot&abi.PROT_WRITE != 0, Execute: prot&abi.PROT_EXEC != 0},
		MaxPerms:  hostarch.AnyAccess,
	}
	if flags&abi.MAP_POPULATE != 0 {
		opts.PlatformEffect = memmap.PlatformEffectCommit
	}
	if flags&abi.MAP_LOCKED != 0 {
		opts.MLockMode = memmap.MLockEager
	}
	return opts
}

// mapFile maps a file, remembered before the first write could be.
func (s *sharedFiles) mapFile(t *kernel.Task, file *vfs.FileDescription, opts memmap.MMapOpts) (hostarch.Addr, error) {
	if err := permit(file, &opts); err != nil {
		return 0, err
	}
	err := file.ConfigureMMap(t, &opts)
	if id := opts.MappingIdentity; id != nil {
		defer id.DecRef(t) // the mapping has a reference of its own
	}
	if err != nil {
		return 0, err
	}
	if opts.MaxPerms.Write {
		s.add(t, file)
	}
	return t.MemoryManager().MMap(t, opts)
}

// permit cuts a shared mapping of a file to what its descriptor allows (do_mmap in
// mm/mmap.c of Linux, shmem's seals). MMap refuses what is more.
func permit(file *vfs.FileDescription, opts *memmap.MMapOpts) error {
	if !file.IsReadable() {
		return linuxerr.EACCES
	}
	opts.MaxPerms.Write = file.IsWritable()
	if seals, err := tmpfs.GetSeals(file); err == nil && seals&abi.F_SEAL_WRITE != 0 {
		if opts.Perms.Write {
			return linuxerr.EPERM
		}
		opts.MaxPerms.Write = false
	}
	if file.Mount().MountFlags()&abi.ST_NOEXEC != 0 {
		if opts.Perms.Execute {
			return linuxerr.EPERM
		}
		opts.MaxPerms.Execute = false
	}
	return nil
}
