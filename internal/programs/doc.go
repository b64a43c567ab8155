// Package programs has pyro's own programs where pyro carries them inside itself:
// built with the tag release it embeds pyro-agent, pyro-runsc and pyro-gateway,
// compressed, and unpacks them once into a directory that is named by their digest.
// Without the tag it carries none. It neither looks for programs elsewhere nor runs
// any.
//
// What was unpacked is believed while owner, mode, inode, size and time of change of
// each file are those of the stamp beside it; else it is read and compared with the
// digest that pyro carries, and replaced where that differs. Only its own user can
// change it, or the directory is refused.
//
// Place and Write are for whoever else keeps a program in a directory that appears
// at once and whole.
package programs
