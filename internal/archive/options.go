package archive

import "cmp"

// Limits bound what one archive may hold. A field that is zero means its default.
type Limits struct {
	Entries   int   // members, and directories made on the way to them: 200,000
	Bytes     int64 // of all files together, as they would be written: 10 GiB
	NameBytes int   // of one name or link target: 4,096
	Depth     int   // parts of one name: 256
	Ratio     int64 // bytes a decompressor may give for each that it takes: 200; see ratioGrace
}

// TreeLimits are those of a whole workspace, the same on both sides of the wall, so that
// what one packs the other takes. The disk bounds it more tightly.
var TreeLimits = Limits{Entries: 5_000_000, Bytes: 1 << 40}

// maxDirBytes bounds the names of the directories of one archive together, in
// bytes; they are held until the end, when modes and times are set.
const maxDirBytes = 32 << 20

func (l Limits) withDefaults() Limits {
	return Limits{
		Entries:   cmp.Or(l.Entries, 200_000),
		Bytes:     cmp.Or(l.Bytes, 10<<30),
		NameBytes: cmp.Or(l.NameBytes, 4096),
		Depth:     cmp.Or(l.Depth, 256),
		Ratio:     cmp.Or(l.Ratio, 200),
	}
}

// Formats says which bytes Unpack and Repack take for an archive.
type Formats int

// Formats.
const (
	TarOnly       Formats = iota // not compressed
	TarCompressed                // plain, or under gzip, bzip2, xz or zstd, whichever it turns out to be
)

// Links says what becomes of links in an archive.
type Links int

// What may become of links.
const (
	LinksRefused Links = iota // each is an error
	LinksAsData               // symlinks as they are, hard links to earlier files of the archive
)

// Specials says what becomes of devices, FIFOs and sockets; none is ever made.
type Specials int

// What may become of special files.
const (
	SpecialsRefused Specials = iota // each is an error that names it
	SpecialsSkipped                 // left out and counted
)

// Modes says which mode bits are taken from an archive. The umask plays no part.
type Modes int

// Which mode bits are taken.
const (
	ModesPlain   Modes = iota // read, write, execute; no set-id and sticky bits
	ModesKept                 // all twelve bits
	ModesPrivate              // none: files 0600, directories 0700
)

func (m Modes) file(mode int64) uint32 {
	if m == ModesPrivate {
		return 0o600
	}
	return m.bits(mode)
}

func (m Modes) dir(mode int64) uint32 {
	if m == ModesPrivate {
		return 0o700
	}
	return m.bits(mode)
}

func (m Modes) bits(mode int64) uint32 {
	if m == ModesKept {
		return uint32(mode) & 0o7777
	}
	return uint32(mode) & 0o777
}

// UnpackOptions say what an archive may do. The zero value is the strictest: plain
// tar of files and directories only.
type UnpackOptions struct {
	Formats  Formats
	Links    Links
	Specials Specials
	Modes    Modes
	Names    Names
	Limits   Limits

	// Private says that the root is empty, and that nobody else can reach it until
	// Unpack returns: all that is found there is this archive's own.
	Private bool

	// Admit has a say in each member.
	Admit Admit

	// Seen is told what has been made so far, after each member.
	Seen func(Counts)

	// Directory is told the path of each directory that is a member, unlike those made
	// on the way to one; nil: nobody asks.
	Directory func(path string)
}

// PackOptions say what a tree may hold and what of it is wanted. With the zero
// value all is, and a device, FIFO or socket in it is an error.
type PackOptions struct {
	Specials Specials
	Limits   Limits
	// Skip leaves a member out, and all below it, by its name in the archive (without
	// a slash at the end). What is left out is not opened and does not count.
	Skip func(path string, info Info) bool
	// Only says of each member whether it is written, of those below a directory
	// whatever it says of the directory.
	Only func(path string, info Info) bool
	// Seen is told what has been written so far, after each member.
	Seen func(Counts)
}

// RepackOptions say what an archive may hold and what of it is wanted.
type RepackOptions struct {
	Formats  Formats
	Specials Specials
	Limits   Limits
	// Skip leaves a member out, by its clean name, and all below it if it is a
	// directory; it is asked about directories that the archive only implies, too.
	Skip func(name string, dir bool) bool
	// Names says which names are taken.
	Names Names
	// Plain leaves set-id and sticky bits out of the modes.
	Plain bool
	// Admit has a say in each member that is not skipped.
	Admit Admit
	// Seen is told what has been written so far, after each member.
	Seen func(Counts)
}

// Counts is what Unpack made, Pack and Repack wrote, or Index saw.
type Counts struct {
	Entries int   // members: files, directories and links
	Bytes   int64 // of files, as long as they are when unpacked; a hard link adds none
	Skipped int   // special files left out
}
