//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// elsewhere is where no listener of ours can be, but others may be.
var elsewhere = []string{
	"169.254.169.254:80", "[fd00:ec2::254]:80", "168.63.129.16:80", "100.100.100.200:80", // cloud metadata
	"10.0.0.1:80", "172.17.0.1:2375", "192.168.0.1:80", "224.0.0.251:5353", "255.255.255.255:67", "[fe80::1%1]:80", "[ff02::1]:5353",
	"1.1.1.1:53", "[2606:4700:4700::1111]:53",
}

// rounds is how often each listener is tried.
const rounds = 25

// network tries to send something to the listeners of the host, and to anybody.
func network(p *plan) []attempt {
	list := []attempt{{"interfaces", interfaces}}
	for _, target := range slices.Concat(p.TCP, elsewhere) {
		list = append(list, attempt{"tcp " + label(target, p.TCP), func() (string, error) { return dial("tcp", target, nil) }})
	}
	for _, target := range slices.Concat(p.UDP, elsewhere) {
		list = append(list, attempt{"udp " + label(target, p.UDP), func() (string, error) { return dial("udp", target, []byte("x")) }})
	}
	if !sandboxed() {
		return list // the rest is for root, and says nothing about listeners
	}
	list = append(list, families()...)
	for _, cid := range []uint32{unix.VMADDR_CID_HYPERVISOR, unix.VMADDR_CID_LOCAL, unix.VMADDR_CID_HOST, 3} {
		list = append(list, plain(fmt.Sprintf("vsock %d", cid), func() error { return vsock(cid, p.Vsock) }))
	}
	return append(
		list,
		attempt{"open ports of 127.0.0.1", func() (string, error) { return scan("127.0.0.1") }},
		attempt{"open ports of ::1", func() (string, error) { return scan("::1") }},
		plain("an interface of our own", tun),
		plain("an address", func() error { return address("lo") }),
	)
}

// label names a listener without its port, which differs from run to run.
func label(target string, ours []string) string {
	if at := slices.Index(ours, target); at >= 0 {
		return fmt.Sprintf("listener %d", at+1)
	}
	return target
}

// dial connects, or sends a datagram, again and again, and returns the last error.
func dial(network, target string, datagram []byte) (string, error) {
	addr, err := netip.ParseAddrPort(target)
	if err != nil {
		return "", err
	}
	kind := unix.SOCK_STREAM
	if network == "udp" {
		kind = unix.SOCK_DGRAM
	}
	n := rounds
	if slices.Contains(elsewhere, target) {
		n = 1
	}
	var last error
	for range n {
		last = send(addr, kind, datagram)
	}
	return "", last
}

func send(to netip.AddrPort, kind int, datagram []byte) error {
	var family int
	var sa unix.Sockaddr
	if to.Addr().Is4() {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}
	} else {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.Addr().As16(), ZoneId: 1}
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, 1)
	if datagram != nil {
		return unix.Sendto(fd, datagram, 0, sa)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	if err := unix.Connect(fd, sa); !errors.Is(err, unix.EINPROGRESS) {
		return err
	}
	return connected(fd)
}

// connected waits a little for a connection and says what became of it.
func connected(fd int) error {
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, 300); n < 1 {
		return errors.Join(err, unix.ETIMEDOUT)
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = syscall.Errno(code)
	}
	return err
}

func interfaces() (string, error) {
	list, err := net.Interfaces()
	var names []string
	for _, i := range list {
		names = append(names, i.Name)
	}
	return strings.Join(names, " "), err
}

// families opens sockets that do without TCP and UDP.
func families() []attempt {
	ping := []byte{8, 0, 0xf7, 0xff, 0, 0, 0, 0}
	socket := func(family, kind, protocol int, to unix.Sockaddr) func() error {
		return func() error {
			fd, err := unix.Socket(family, kind, protocol)
			if err != nil {
				return err
			}
			defer func() { _ = unix.Close(fd) }()
			if to == nil {
				return nil
			}
			return unix.Sendto(fd, ping, 0, to)
		}
	}
	metadata := &unix.SockaddrInet4{Addr: [4]byte{169, 254, 169, 254}}
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	return []attempt{
		plain("raw ICMP", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP, metadata)),
		plain("raw IP", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_RAW, metadata)),
		plain("ping socket", socket(unix.AF_INET, unix.SOCK_DGRAM, unix.IPPROTO_ICMP, metadata)),
		plain("raw ICMPv6", socket(unix.AF_INET6, unix.SOCK_RAW, unix.IPPROTO_ICMPV6, nil)),
		plain("packet", socket(unix.AF_PACKET, unix.SOCK_RAW, all, nil)),
		plain("packet, cooked", socket(unix.AF_PACKET, unix.SOCK_DGRAM, all, nil)),
		plain("SCTP", socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_SCTP, nil)),
		plain("netlink uevents", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_KOBJECT_UEVENT, nil)),
		plain("netlink audit", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT, nil)),
		plain("netlink netfilter", socket(unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_NETFILTER, nil)),
		plain("bluetooth", socket(unix.AF_BLUETOOTH, unix.SOCK_RAW, 0, nil)),
		plain("CAN", socket(unix.AF_CAN, unix.SOCK_RAW, 1, nil)),
		plain("XDP", socket(unix.AF_XDP, unix.SOCK_RAW, 0, nil)),
		plain("kernel crypto", socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0, nil)),
		plain("keys", socket(unix.AF_KEY, unix.SOCK_RAW, 2, nil)),
		plain("TIPC", socket(unix.AF_TIPC, unix.SOCK_RDM, 0, nil)),
		plain("RDS", socket(unix.AF_RDS, unix.SOCK_SEQPACKET, 0, nil)),
		plain("MPTCP", socket(unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP, nil)),
	}
}

// vsock connects to a port of the machine that hosts us, or of the one that hosts it.
func vsock(cid, port uint32) error {
	fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Connect(fd, &unix.SockaddrVM{CID: cid, Port: port})
}

// scan knocks at the ports of an address that programs like to use.
func scan(host string) (string, error) {
	var open []string
	ports := []int{1234, 2375, 2376, 3128, 3306, 4243, 5000, 5432, 6379, 6443, 8000, 8080, 8443, 9000, 9090, 10000, 10250}
	for port := 1; port < 1024; port++ {
		ports = append(ports, port)
	}
	for _, port := range ports {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(port)), time.Second)
		if err == nil {
			open = append(open, fmt.Sprint(port))
			_ = conn.Close()
		}
	}
	if open == nil {
		return "none", nil
	}
	return strings.Join(open, " "), nil
}

// tun makes an interface.
func tun() error {
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	request, err := unix.NewIfreq("probe0")
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
	return raw(unix.SYS_IOCTL, f.Fd(), unix.TUNSETIFF, uintptr(unsafe.Pointer(request)))
}

// address gives an interface another address.
func address(of string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq(of)
	if err != nil {
		return err
	}
	return errors.Join(request.SetInet4Addr([]byte{169, 254, 169, 254}), raw(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(request))))
}
