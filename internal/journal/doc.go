// Package journal keeps the history of a workspace: which commands ran in it, when,
// how each ended and what it printed.
//
// One process writes it, the supervisor that holds the workspace's lock. Any number
// of processes read it meanwhile without locks. A command is noted twice, before it
// runs and when it has ended; where the second line is missing, nobody saw the end.
// What was noted survives the death of the process, not a power cut: a command does
// not wait for the disk.
//
// The package runs nothing, decides nothing about commands and removes no secrets
// from what they print; its callers do. In the workspace's directory:
//
//	journal.jsonl    the newest lines; when it is full it takes the other's place
//	journal.1.jsonl  those before
//
// A line is {"sum", "event", "sequence", "resets", "entry"}, the fourth of them only
// where the workspace was reset before. The sum is the CRC-32C (RFC 3720,
// 12.1) of what follows it and its comma. A line that is cut, changed, too long or
// of another version is skipped; it never hides those around it.
package journal

const (
	currentName = "journal.jsonl"
	olderName   = "journal.1.jsonl"
)

// Limits, in bytes.
const (
	MaxStream  = 1 << 20  // of the output of a command, for each of stdout and stderr
	MaxCommand = 64 << 10 // of the text of a command

	minStream = MaxStream >> 6 // where escapes make a line too long
	maxCwd    = 4 << 10        // as the kernel's PATH_MAX
	maxLine   = 4 << 20        // of the line as it is written, escapes and line break included
	maxFile   = 32 << 20       // of each of the two files
)
