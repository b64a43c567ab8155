// Package events keeps the log of what was done to a workspace and what happened in it:
// one line each, for people who look later and for programs that follow.
//
// One process writes it, whoever holds the workspace's lock; any number read it meanwhile
// without locks. What was noted survives the death of the process, not a power cut. The
// log is bounded: in the workspace's directory lie
//
//	events.jsonl    the newest lines; when it is full it takes the other's place
//	events.1.jsonl  those before
//
// A line is {"sum", "event"}; the sum is the CRC-32C (RFC 3720, 12.1) of the event's
// JSON. A line that is cut, changed, too long or of another version is skipped. What
// commands print is no event: see package journal. The package decides nothing about
// events and hides no secrets in them; its callers do.
package events

const (
	currentName = "events.jsonl"
	olderName   = "events.1.jsonl"
)

// Limits, in bytes.
const (
	maxText = 2 << 10   // of a text of an event
	maxLine = 128 << 10 // of a line: seven texts, each byte escaped at worst, need less
	maxFile = 1 << 20   // of each of the two files
)

// maxRecent is how many of the newest events are kept in memory for those who follow.
const maxRecent = 256
