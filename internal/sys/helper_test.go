//go:build linux

package sys_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

// helperEnv makes the test binary play another process; its value is the part.
const helperEnv = "PYRO_TEST_HELPER"

func TestMain(m *testing.M) {
	if part := os.Getenv(helperEnv); part != "" {
		if err := play(part); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	before := descriptors()
	code := m.Run()
	leaked := slices.DeleteFunc(descriptors(), func(fd string) bool { return slices.Contains(before, fd) })
	if code == 0 && len(leaked) > 0 {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %q\n", leaked)
		code = 1
	}
	os.Exit(code)
}

// descriptors lists what is open, without the poller that the runtime opens at need.
func descriptors() []string {
	var open []string
	for fd := range 1000 {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err == nil && target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" {
			open = append(open, target)
		}
	}
	return open
}

// play says "ready" once it is, and stays until its stdin ends.
func play(part string) error {
	out := bufio.NewWriter(os.Stdout)
	switch name, arg, _ := strings.Cut(part, ":"); name {
	case "lock":
		if _, err := sys.TryLock(arg); err != nil {
			return err
		}
	case "echo":
		conn, err := net.FileConn(os.NewFile(3, "socket"))
		if err != nil {
			return err
		}
		_, err = io.Copy(conn, conn)
		return err
	case "adopt":
		return adopt(out)
	case "tree":
		return tree(out)
	case "bound": // has a child that ends with it
		if _, err := startHelper("wait", sys.EndWithUs); err != nil {
			return err
		}
	case "orphan": // leaves a child behind
		_, err := startHelper("wait", nil)
		return err
	}
	_, _ = out.WriteString("ready " + strconv.Itoa(os.Getpid()) + "\n")
	if err := out.Flush(); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// adopt lets a child leave an orphan, and sees it end.
func adopt(out *bufio.Writer) error {
	if err := sys.SetSubreaper(); err != nil {
		return err
	}
	cmd, err := startHelper("orphan", nil)
	if err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil {
		return err
	}
	orphans := sys.ChildrenOf(os.Getpid())
	if len(orphans) != 1 {
		return fmt.Errorf("orphans: %v", orphans)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := errors.Join(orphans[0].Kill(), orphans[0].Wait(ctx)); err != nil {
		return err
	}
	orphans[0].Reap()
	if left := sys.ChildrenOf(os.Getpid()); len(left) > 0 {
		return fmt.Errorf("left: %v", left)
	}
	_, _ = out.WriteString("ready\n")
	return out.Flush()
}

func startHelper(part string, prepare func(*exec.Cmd)) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), helperEnv+"="+part)
	cmd.Stdin, err = os.Open("/dev/zero") // never ends
	if err != nil {
		return nil, err
	}
	defer func() { _ = cmd.Stdin.(*os.File).Close() }()
	if prepare != nil {
		prepare(cmd)
	}
	return cmd, cmd.Start()
}

// helper starts a part and waits until it is ready. It is killed when the test ends.
func helper(t *testing.T, part string, prepare func(*exec.Cmd)) *exec.Cmd {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	cmd, err := startHelper(part, func(cmd *exec.Cmd) {
		cmd.Stdout = write
		if prepare != nil {
			prepare(cmd)
		}
	})
	_ = write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready") {
		t.Fatalf("helper %s said %q: %v", part, line, err)
	}
	return cmd
}
