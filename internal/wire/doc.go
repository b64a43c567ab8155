// Package wire is what host and guest agent say to each other: the messages, how
// they are framed and bounded, and the host's client. docs/protocol.md describes
// the protocol in full.
//
// The host side treats everything it reads as hostile: every reply has a cap and
// a deadline and is decoded into a struct. Nothing here does what a message asks
// for (that is internal/agent), and nothing here knows engines or images.
package wire
