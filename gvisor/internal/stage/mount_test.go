package stage

import "testing"

func TestMapsAll(t *testing.T) {
	tests := []struct {
		name, idMap string
		want        bool
	}{
		{"the machine's own namespace", "         0          0 4294967295\n", true},
		{"root mapped to an unused id", "         0     100001          1\n", false},
		{"a user mapped to root", "         0       1500          1\n", false},
		{"a container's range", "         0     100000      65536\n", false},
		{"two ranges", "0 0 1000\n1000 100000 65536\n", false},
		{"no mapping yet", "", false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := mapsAll(test.idMap); got != test.want {
				t.Errorf("mapsAll(%q) = %t", test.idMap, got)
			}
		})
	}
}
