// Package applyback brings changes to a directory: those that a workspace has against what
// it was seeded with, to the project that it was seeded from. Either all of them are made or
// none, and none where the directory has moved on in another way.
//
// An Area takes the changes with their content, on the file system of the directory. Plan
// compares what each path was with what stands there now, and says what is to be done, what
// is done already, and what cannot be. Commit does it: every step is a rename that can be
// taken back, and a journal of them lies in the state directory, where nobody else writes.
// Whoever opens an area for the directory again, after the process died in the middle,
// takes back what it did. Branch makes a commit of the changes instead, and touches no file
// of the directory.
//
// What the package is not: it knows no workspaces and asks nobody; and it is no general
// patch program: a path is as it was, or it is git that puts both sides together. Names and
// targets are those of a stranger: no link of the directory is followed, nothing is written
// to a .git but by git itself, which runs no program that the directory names.
package applyback
