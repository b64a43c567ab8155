// Package fault lets a test strike at a named moment: between what is noted and
// what is done, or in the middle of undoing it.
//
// The code under test calls Hit around each resource that it acquires or frees,
// and Error where a failing kernel is worth trying. In a normal build both are
// empty and cost nothing. With the build tag faultpoint they obey two environment
// variables:
//
//	PYRO_FAULT        NAME=ACTION, or NAME#2=ACTION for the second time
//	PYRO_FAULT_TRACE  a file to which each name is appended as it is hit
//
// Actions of Hit are kill (SIGKILL to this process) and stop (SIGSTOP); actions of
// Error are enospc, eio, erofs, eacces and emfile. The tag is for tests only;
// nothing that is shipped carries it.
package fault
