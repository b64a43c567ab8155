// Package mcpserver is the face of pyro to agents: a server of the Model Context
// Protocol, over stdio or HTTP, in both eras of the protocol (the revisions up to
// 2025-11-25 with their initialize, and 2026-07-28, which has no sessions).
//
// It decides nothing about sandboxes: what a tool can do, a program with the SDK can
// do. Its own business is the tools' names, schemas and descriptions, how much of an
// output a model is shown and how it gets the rest, that a call which takes long is
// answered in time, what an error tells the model to do next, and that no input, however
// broken, ends the server.
//
// Nothing is made before the first call of a tool: hosts start servers only to ask what
// they can do. State lies in ids that calls carry, never in a session: in the new era a
// session is one request long.
//
// Specification: https://modelcontextprotocol.io/specification/2026-07-28
package mcpserver
