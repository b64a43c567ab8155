// Package api holds the nouns of pyro, their JSON, and the kinds of error.
//
// What stands here crosses a process boundary: the HTTP API of a supervisor, the
// output of `pyro … --json`, the results of both SDKs and of the MCP tools are all
// these structs, printed by one encoder (see Encode). Nothing here acts, and
// nothing here imports more than the standard library, so that a client of pyro
// can use it for free.
//
// Fields are only ever added. A field that may be absent is a pointer and appears
// as null; it is never left out, because scripts written for the product that pyro
// succeeds look fields up without asking whether they are there.
package api
