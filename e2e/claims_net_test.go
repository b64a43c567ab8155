package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// counted are listeners of the host that count who comes.
type counted struct{ came atomic.Int64 }

func (c *counted) stream(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			c.came.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func (c *counted) datagrams(t *testing.T, network, address string) net.PacketConn {
	t.Helper()
	l, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the socket
		for {
			if _, _, err := l.ReadFrom(make([]byte, 16)); err != nil {
				return
			}
			c.came.Add(1)
		}
	}()
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// addresses are those of this machine: loopback, every one that it has, and any.
func addresses(t *testing.T) []string {
	t.Helper()
	list := []string{"0.0.0.0"}
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, addr := range own {
		if ip, ok := addr.(*net.IPNet); ok && !ip.IP.IsLinkLocalUnicast() {
			list = append(list, ip.IP.String())
		}
	}
	return list
}

// onHost runs the probe on the host, to see that what it looks for can be found.
func (s *siege) onHost(t *testing.T, group string) {
	t.Helper()
	s.plan.write(t, s.at("seed/plan.json"))
	cmd := exec.CommandContext(t.Context(), s.at("seed/probe"), group)
	cmd.Env = []string{}
	findings(t, cmd)
}

// TestClaimC4NoPacketLeaves has listeners at every address of the host, and counts.
func TestClaimC4NoPacketLeaves(t *testing.T) {
	s := newSiege(t)
	var c counted
	for _, address := range addresses(t) {
		target := func(bound string) string { return strings.Replace(bound, "[::]", "127.0.0.1", 1) }
		s.plan.TCP = append(s.plan.TCP, target(c.stream(t, "tcp", net.JoinHostPort(address, "0")).Addr().String()))
		s.plan.UDP = append(s.plan.UDP, target(c.datagrams(t, "udp", net.JoinHostPort(address, "0")).LocalAddr().String()))
	}
	s.plan.Vsock = 47112
	s.onHost(t, "network")
	if s.await(func() string {
		if c.came.Load() < int64(len(s.plan.TCP)) {
			return "nobody came"
		}
		return ""
	}) != "" {
		t.Fatal("the listeners cannot be reached from the host either")
	}
	s.besiege(t)
	before := c.came.Swap(0)
	found := s.probe(t, "network")
	if came := c.came.Load(); came != 0 {
		t.Errorf("%d connections or datagrams have arrived (%d came from the host)", came, before)
	}
	want(t, found, "interfaces", "lo")
	want(t, found, "open ports of 127.0.0.1", "none")
	want(t, found, "open ports of ::1", "none")
	for _, target := range []string{"169.254.169.254:80", "10.0.0.1:80", "1.1.1.1:53", "[fd00:ec2::254]:80", "255.255.255.255:67"} {
		want(t, found, "tcp "+target, "ENETUNREACH")
		want(t, found, "udp "+target, "ENETUNREACH")
	}
	wantOnly(t, found, "raw ", "EPERM")
	wantOnly(t, found, "packet", "EPERM")
	wantOnly(t, found, "vsock ", "EAFNOSUPPORT")
	wantOnly(t, found, "an ", "EPERM", "ENOTTY")
	for _, program := range []string{"runsc-sandbox", "runsc-gofer"} { // there is nothing that a packet could leave by
		data := s.proc(t, program, "net/dev")
		for line := range strings.Lines(data) {
			if name, counts, ok := strings.Cut(line, ":"); ok {
				if strings.TrimSpace(name) != "lo" || strings.Trim(counts, " 0\n") != "" {
					t.Errorf("%s has sent or can send: %s", program, line)
				}
			}
		}
	}
}

// TestClaimC5NoHostSocket has sockets and FIFOs on the host, also where the sandbox
// shows the host's files.
func TestClaimC5NoHostSocket(t *testing.T) {
	s := newSiege(t)
	var c counted
	abstract := "@pyro-" + s.mark
	c.stream(t, "unix", s.at("stream.sock"))
	c.stream(t, "unix", abstract)
	c.datagrams(t, "unixgram", s.at("datagram.sock"))
	s.plan.Unix = []string{s.at("stream.sock"), abstract, s.at("datagram.sock")}
	s.onHost(t, "sockets")
	if s.await(func() string {
		if c.came.Load() < int64(len(s.plan.Unix)) {
			return "nobody came"
		}
		return ""
	}) != "" {
		t.Fatal("the sockets cannot be reached from the host either")
	}

	shown := "/usr/local/share"
	if os.Getuid() == 0 {
		shown = filepath.Join(shown, ".pyro-canary-"+s.mark)
		if err := os.Mkdir(shown, 0o777); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(shown) })
		c.stream(t, "unix", shown+"/sock")
		s.plan.Unix = append(s.plan.Unix, shown+"/sock")
		for _, path := range []string{shown + "/sock", shown} { // no mode keeps the guest away
			if err := os.Chmod(path, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if err := syscall.Mkfifo(shown+"/fifo", 0o666); err != nil {
			t.Fatal(err)
		}
		s.plan.FIFOs = append(s.plan.FIFOs, shown+"/fifo")
		fifo, err := os.OpenFile(shown+"/fifo", os.O_RDWR, 0) // somebody reads it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = fifo.Close() })
	} else {
		s.plan.Unix = append(s.plan.Unix, "/opt/pyro/sock")
	}
	s.plan.Unix = append(s.plan.Unix, "/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/run/systemd/private")
	s.besiege(t)
	if os.Getuid() != 0 { // in the one directory that the host serves
		c.stream(t, "unix", filepath.Join(s.agentDir(t), "sock"))
		t.Cleanup(func() { _ = os.Remove(filepath.Join(s.agentDir(t), "sock")) })
	}
	own, _ := filepath.Glob(s.at("r/*/" + s.id + "/*.sock"))
	if len(own) == 0 {
		t.Fatal("pyro has no sockets")
	}
	before := c.came.Swap(0)
	found := s.probe(t, "sockets")
	for _, path := range own {
		if out := s.inside(t, "sh", "-c", "test -e '"+path+"' && echo there; true"); out != "" {
			t.Errorf("%s is %s", path, out)
		}
	}
	if came := c.came.Load(); came != 0 {
		t.Errorf("%d connections, datagrams have arrived (%d came from the host)", came, before)
	}
	for try, got := range found {
		if got == "done" && !strings.HasSuffix(try, ": bound over") {
			t.Errorf("%s: %s", try, got)
		}
	}
	want(t, found, "sockets that are listed", "0 abstract")
}
