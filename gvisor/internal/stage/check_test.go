package stage

import "testing"

func TestPathRules(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"the root itself", `"Dirs":["."]`, `directory: path "." leaves the root`},
		{"empty name", `"Dirs":[""]`, "leaves the root"},
		{"absolute name", `"Files":{"/etc/passwd":""}`, "file: path \"/etc/passwd\" leaves the root"},
		{"name that climbs", `"Binds":{"../usr":"/usr"}`, "leaves the root"},
		{"name that climbs in the middle", `"Links":{"a/../../b":"c"}`, "leaves the root"},
		{"name with a detour", `"Dirs":["a/../b"]`, "not clean"},
		{"name with a slash at the end", `"Dirs":["proc/"]`, "not clean"},
		{"two spellings of one name", `"Dirs":["proc","./proc"]`, "not clean"},
		{"name with a line break", `"Dirs":["a\nb"]`, "control character"},
		{"name with a zero byte", `"Dirs":["a\u0000b"]`, "control character"},
		{"same name twice", `"Dirs":["proc","proc"]`, "/proc is both directory and directory"},
		{"same name in two roles", `"Files":{"bin":""},"Links":{"bin":"usr/bin"}`, "/bin is both file and link"},
		{"beneath a link", `"Links":{"lib":"usr/lib"},"Dirs":["lib/x/y"]`, "directory /lib/x/y lies beneath link /lib"},
		{"beneath a bind", `"Binds":{"usr":"/usr","usr/local":"/opt"}`, "bind /usr/local lies beneath bind /usr"},
		{"beneath a file", `"Files":{"etc":"","etc/passwd":""}`, "file /etc/passwd lies beneath file /etc"},
		{"link to nowhere", `"Links":{"bin":""}`, "link /bin: bad target"},
		{"link with a line break", `"Links":{"bin":"a\nb"}`, "link /bin: bad target"},
		{"bind of a relative path", `"Binds":{"usr":"usr"}`, "bind /usr: host path"},
		{"bind with a detour", `"Binds":{"usr":"/usr/../home"}`, "bind /usr: host path"},
		{"bind of the whole host", `"Binds":{"host":"/"}`, "bind /host: host path is the whole host"},
		{"option that would undo another", `"Tmpfs":{"t":"size=1m,dev"}`, `tmpfs /t: option "dev" is not allowed`},
		{"option without a number", `"Tmpfs":{"t":"size="}`, `option "size=" is not allowed`},
		{"no option at all", `"Tmpfs":{"t":""}`, `option "" is not allowed`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { refused(t, `{"Root":"/r",`+test.in+`}`, test.want) })
	}
}

func TestRootRules(t *testing.T) {
	for name, in := range map[string]string{
		"relative":   `{"Root":"root"}`,
		"not clean":  `{"Root":"/run/../root"}`,
		"the host's": `{"Root":"/"}`,
	} {
		t.Run(name, func(t *testing.T) { refused(t, in, "Root: host path") })
	}
}
