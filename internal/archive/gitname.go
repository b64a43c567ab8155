package archive

// IsGit reports whether some file system takes a part of a path for ".git": that itself, in
// any case or Unicode form, and the short and stream names of NTFS.
func IsGit(part string) bool { return gitAlias(part) }
