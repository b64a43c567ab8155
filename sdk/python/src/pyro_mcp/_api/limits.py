"""How long the other side may take, in seconds, and how much it may say, in bytes.

It is a program of ours, but it speaks of what a guest did.
"""

CONNECT = 5.0
ANSWER = 30.0  # to what it knows by itself
LOGS = 60.0
FILE = 60.0  # what is done to one path
LIST = 300.0
SAVE = 660.0  # a whole disk
CREATE = 900.0  # an image may have to be pulled first
TREE = 86_400.0  # it goes on or is given up piece by piece
PIECE = 300.0  # between two pieces of a tree or a file
SLOWEST = 64 << 10  # bytes a second, at which a long body may be sent
EXEC_MARGIN = 30.0  # beyond a command's own timeout
SERVICE = 60.0  # TERM, five seconds, KILL, and what lies around that

HEAD = 64 << 10
ERROR = 1 << 20
REPLY = 8 << 20
CAPTURE = 97 << 20  # both streams of a command, each byte escaped at the worst
LOGS_REPLY = 512 << 20
LIST_REPLY = 512 << 20
DISK_REPLY = 512 << 20
DIFF_REPLY = 1 << 30
PATCH_REPLY = 128 << 20
SHELL_REPLY = 64 << 20
SERVICE_REPLY = 128 << 20
FILE_REPLY = 16 << 20
IN_MEMORY = 256 << 20  # of a file that is read as a whole

HELD = 64 << 20  # that a command prints while it is written to
CHUNK = 256 << 10  # read or sent at once
