// Package store keeps what pyro knows about its workspaces on disk: for each a
// record, a ledger of what was acquired for it, and a lock that says whether a
// supervisor is alive.
//
// The lock is held by the one process that may change a workspace; it dies with
// that process. Readers never take it. A record is replaced by rename, so a reader
// finds the old or the new one, also after a power cut. Every resource is entered
// in the ledger before it is acquired, so whoever comes next can free it, knowing
// nothing but the ledger.
//
// The package does not know what a record means, starts nothing and talks to no
// sandbox; that is the domain (package workspace) and its supervisor.
//
// Below the state directory:
//
//	workspaces/ID/lock          held by the supervisor, or by who changes a stopped one
//	workspaces/ID/record.json   {"layout", "sha256", "record"}, at most 1 MiB
//	workspaces/ID/ledger.jsonl  what was acquired, a line each, written before
//	workspaces/ID/boot          in one-shot workspaces: the boot they cannot outlive
//	gone/ID                     one line about a removed workspace, for a day
//	trash/ID-RANDOM             on its way in or out; never looked into
package store
