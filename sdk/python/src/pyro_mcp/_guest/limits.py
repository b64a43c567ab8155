"""Sizes and times that the client holds to. Those of the wire are the agent's too."""

# Bytes.
MAX_REQUEST_LINE = 8 << 20  # a file of MAX_FILE bytes with every byte escaped
MAX_SHORT_REPLY = 64 << 10  # a reply that carries no content
MAX_LIST_REPLY = 16 << 20
MAX_FILE = 1 << 20  # read by one request
MAX_STREAM = 8 << 20  # of each stream in the reply to an exec or for a service's logs
MAX_ERROR_TEXT = 4 << 10
MAX_ARCHIVE = 16 << 30  # of an export, where the caller names no other limit
CHUNK = 64 << 10

# JSON escapes one byte with six (\u0000), and a code point beyond the basic plane with twelve.
ESCAPED_BYTE = 6
ESCAPED_CHAR = 12
MAX_STREAMS_REPLY = MAX_SHORT_REPLY + 2 * ESCAPED_BYTE * MAX_STREAM

# Seconds.
CONNECT_TIMEOUT = 10.0  # to be connected, handshake included
USUAL_TIMEOUT = 30.0
ARCHIVE_TIMEOUT = 60.0  # without progress; the size adds to the whole by SLOWEST_RATE
EXEC_MARGIN = 10.0  # the agent's own timeout strikes first, and its answer arrives
SERVICE_MARGIN = 25.0  # to end what did not get ready: TERM, five seconds, KILL, the answer
LAST_WORDS = 1.0  # for a reply of an agent that has stopped reading
MAX_WAIT = 1e6  # sockets take no timeout above 2**31 milliseconds

SLOWEST_RATE = 64 << 10  # bytes a second
