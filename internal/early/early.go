// Package early takes variables out of the environment that a library reads before main,
// where nobody can keep it from that. It is linked in, and has nothing to be called.
//
// It comes before that library: Go initializes packages in the order of their paths as
// soon as all that they import is (The Go Programming Language Specification, "Program
// initialization"), and this one imports nothing but syscall, which comes before package os,
// and with that before whatever reads the environment. So it must not import more.
package early

import "syscall"

// MCPGODEBUG changes what the library of the Model Context Protocol does, for compatibility
// with its earlier versions. With a value that it does not know how to read it panics, in
// every command of a program that has it linked in.
var _ = syscall.Unsetenv("MCPGODEBUG")
