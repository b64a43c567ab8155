"""Trees of files of this machine: into a workspace as an archive, and out of one."""
