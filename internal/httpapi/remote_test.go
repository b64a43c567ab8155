package httpapi

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pyro-sandbox/pyro"
	"github.com/pyro-sandbox/pyro/api"
)

// traveller is one who does all that the SDK can do.
type traveller struct {
	client  *pyro.Client
	ws      *pyro.Workspace
	project string // a directory of its own
	out     string // where exports go, the same
	shell   string
	vm      string
}

// stop is one thing that is done on the way.
type stop struct {
	name string
	do   func(context.Context, *traveller) (any, error)
}

// of is a stop whose answer counts.
func of[T any](name string, do func(context.Context, *traveller) (T, error)) stop {
	return stop{name, func(ctx context.Context, v *traveller) (any, error) { return do(ctx, v) }}
}

func begin() []stop {
	return []stop{
		of("create", func(ctx context.Context, v *traveller) (_ *api.Workspace, err error) {
			v.ws, err = v.client.Create(ctx, "host", &pyro.CreateOptions{
				Name: "w", Labels: map[string]string{"a": "b"}, Seed: &pyro.Source{Path: v.project, SkipSpecial: true},
				Secrets: []api.SecretValue{{Name: "TOKEN", Value: "hunter2hunter2", SourceKind: "literal"}},
			})
			if err != nil {
				return nil, err
			}
			return v.ws.Seen(), nil
		}),
		of("get", func(ctx context.Context, v *traveller) (*api.Workspace, error) {
			ws, err := v.client.Get(ctx, v.ws.ID())
			if err != nil {
				return nil, err
			}
			return ws.Status(ctx)
		}),
		of("exec", func(ctx context.Context, v *traveller) (*api.WorkspaceExec, error) {
			return v.ws.Exec(ctx, api.ExecRequest{Command: "cat a; echo oops >&2; echo $S; exit 3", SecretEnv: map[string]string{"TOKEN": "S"}})
		}),
		of("stream", func(ctx context.Context, v *traveller) (string, error) {
			cmd := v.ws.Command(ctx, "cat")
			cmd.Stdin = strings.NewReader(strings.Repeat("line\n", 50_000))
			out, err := cmd.CombinedOutput()
			return string(out), err
		}),
		of("push", func(ctx context.Context, v *traveller) (*api.Sync, error) {
			if err := os.WriteFile(filepath.Join(v.project, "new"), []byte("new\n"), 0o644); err != nil {
				return nil, err
			}
			return v.ws.Push(ctx, &pyro.Source{Path: v.project, SkipSpecial: true}, "")
		}),
		of("write", func(ctx context.Context, v *traveller) (*api.FileWrite, error) {
			return v.ws.Files().Write(ctx, api.FileWriteRequest{Path: "dir/f"}, "text\n")
		}),
		of("read", func(ctx context.Context, v *traveller) (string, error) {
			var out bytes.Buffer
			_, err := v.ws.Files().ReadTo(ctx, api.FileRangeRequest{Path: "dir/f"}, &out)
			return out.String(), err
		}),
		of("list files", func(ctx context.Context, v *traveller) (*api.FileList, error) {
			return v.ws.Files().List(ctx, api.FileListRequest{Recursive: true})
		}),
		of("missing file", func(ctx context.Context, v *traveller) (*api.FileRead, error) {
			return v.ws.Files().Read(ctx, api.FileReadRequest{Path: "nothing"})
		}),
		of("patch", func(ctx context.Context, v *traveller) (*api.Patch, error) {
			return v.ws.ApplyPatch(ctx, strings.NewReader("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n"), api.PatchRequest{})
		}),
		of("patch that does not fit", func(ctx context.Context, v *traveller) (*api.Patch, error) {
			return v.ws.ApplyPatch(ctx, strings.NewReader("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-a\n+b\n"), api.PatchRequest{})
		}),
		of("diff", func(ctx context.Context, v *traveller) (*api.WorkspaceDiff, error) {
			return v.ws.Diff(ctx, api.DiffRequest{})
		}),
		of("diff as a patch", func(ctx context.Context, v *traveller) (string, error) {
			var out bytes.Buffer
			_, err := v.ws.Patch(ctx, api.DiffRequest{}, &out)
			return out.String(), err
		}),
		of("apply", func(ctx context.Context, v *traveller) (*api.Apply, error) {
			return v.ws.Apply(ctx, v.project, &pyro.ApplyOptions{DryRun: true})
		}),
		of("export", func(ctx context.Context, v *traveller) (*api.Export, error) {
			return v.ws.Export(ctx, "dir", filepath.Join(v.out, "dir"), nil)
		}),
	}
}

func live() []stop {
	return []stop{
		of("shell", func(ctx context.Context, v *traveller) (*api.Shell, error) {
			s, err := v.ws.OpenShell(ctx, api.ShellOpenRequest{})
			if err == nil {
				v.shell = s.ShellID
			}
			return s, err
		}),
		of("write to shell", func(ctx context.Context, v *traveller) (*api.ShellWrite, error) {
			return v.ws.WriteShell(ctx, v.shell, api.ShellWriteRequest{Input: "exit 4", AppendNewline: true})
		}),
		of("attach to shell", func(ctx context.Context, v *traveller) (*int, error) {
			s, err := v.ws.AttachShell(ctx, v.shell, pyro.ShellAttachment{Stdout: io.Discard})
			if err != nil {
				return nil, err
			}
			return s.ExitCode, nil
		}),
		of("close shell", func(ctx context.Context, v *traveller) (*api.ShellClose, error) { return v.ws.CloseShell(ctx, v.shell) }),
		of("close it again", func(ctx context.Context, v *traveller) (*api.ShellClose, error) { return v.ws.CloseShell(ctx, v.shell) }),
		of("service", func(ctx context.Context, v *traveller) (string, error) {
			s, err := v.ws.StartService(ctx, api.ServiceStartRequest{
				ServiceName: "s", Command: "echo up; touch up; sleep 600", Readiness: &api.Readiness{Type: api.ReadyFile, Path: "up"},
			})
			if err != nil {
				return "", err
			}
			return string(s.State), nil
		}),
		of("stop service", func(ctx context.Context, v *traveller) (string, error) {
			s, err := v.ws.StopService(ctx, "s")
			if err != nil {
				return "", err
			}
			return string(s.State), nil
		}),
		of("service logs", func(ctx context.Context, v *traveller) (string, error) {
			logs, err := v.ws.ServiceLogs(ctx, "s", 0)
			if err != nil {
				return "", err
			}
			return logs.Stdout, nil
		}),
		of("secret", func(ctx context.Context, v *traveller) (*api.SecretList, error) {
			return v.ws.SetSecret(ctx, api.SecretValue{Name: "OTHER", Value: "correcthorse", SourceKind: "literal"})
		}),
		of("no secret", func(ctx context.Context, v *traveller) (*api.SecretList, error) {
			return v.ws.UnsetSecret(ctx, "OTHER")
		}),
		of("snapshot", func(ctx context.Context, v *traveller) (*api.SnapshotCreate, error) {
			return v.ws.CreateSnapshot(ctx, "s1")
		}),
		of("snapshots", func(ctx context.Context, v *traveller) (*api.SnapshotList, error) { return v.ws.Snapshots(ctx) }),
		of("fork", func(ctx context.Context, v *traveller) (int, error) {
			f, err := v.ws.Fork(ctx, api.ForkRequest{Count: 2})
			if err != nil {
				return 0, err
			}
			for _, one := range f.Workspaces {
				if _, err := v.client.Delete(ctx, one.WorkspaceID); err != nil {
					return 0, err
				}
			}
			return f.Count, nil
		}),
		of("reset", func(ctx context.Context, v *traveller) (*api.ResetSource, error) {
			r, err := v.ws.Reset(ctx, api.ResetRequest{Snapshot: "s1"})
			if err != nil {
				return nil, err
			}
			return &r.WorkspaceReset, nil
		}),
		of("update", func(ctx context.Context, v *traveller) (*api.Workspace, error) {
			return v.ws.Update(ctx, api.UpdateRequest{ClearName: true})
		}),
		of("stop", func(ctx context.Context, v *traveller) (*api.Workspace, error) {
			return v.ws.Stop(ctx, api.StopRequest{})
		}),
	}
}

func stopped() []stop {
	return []stop{
		of("exec in a stopped one", func(ctx context.Context, v *traveller) (*api.WorkspaceExec, error) {
			return v.ws.Exec(ctx, api.ExecRequest{Command: "true"})
		}),
		of("its logs", func(ctx context.Context, v *traveller) (*api.WorkspaceLogs, error) { return v.ws.Logs(ctx, 2) }),
		of("its history", func(ctx context.Context, v *traveller) (int, error) {
			logs, err := v.ws.History(ctx, 0)
			if err != nil {
				return 0, err
			}
			return logs.Count, nil
		}),
		of("its summary", func(ctx context.Context, v *traveller) (*api.Summary, error) { return v.ws.Summary(ctx) }),
		of("its events", func(ctx context.Context, v *traveller) (kinds []string, err error) {
			err = v.ws.FollowEvents(ctx, 0, func(e api.Event) error {
				kinds = append(kinds, string(e.Kind))
				return nil
			})
			return kinds, err
		}),
		of("its shells", func(ctx context.Context, v *traveller) (*api.ShellList, error) { return v.ws.Shells(ctx) }),
		of("its services", func(ctx context.Context, v *traveller) (int, error) {
			list, err := v.ws.Services(ctx)
			if err != nil {
				return 0, err
			}
			return list.Count, nil
		}),
		of("its secrets", func(ctx context.Context, v *traveller) (*api.SecretList, error) { return v.ws.Secrets(ctx) }),
		of("its disk", func(ctx context.Context, v *traveller) (*api.DiskList, error) {
			return v.ws.DiskList(ctx, api.DiskListRequest{Recursive: true})
		}),
		of("a file on it", func(ctx context.Context, v *traveller) (*api.DiskRead, error) {
			return v.ws.DiskRead(ctx, api.DiskReadRequest{Path: "a"})
		}),
		of("all of it", func(ctx context.Context, v *traveller) (*api.DiskExport, error) {
			return v.ws.DiskExport(ctx, filepath.Join(v.out, "disk.tar"), api.DiskExportRequest{})
		}),
		of("no such snapshot", func(ctx context.Context, v *traveller) (*api.SnapshotDelete, error) {
			return v.ws.DeleteSnapshot(ctx, "s2")
		}),
		of("its snapshot", func(ctx context.Context, v *traveller) (*api.SnapshotDelete, error) {
			return v.ws.DeleteSnapshot(ctx, "s1")
		}),
		of("start", func(ctx context.Context, v *traveller) (*api.Workspace, error) {
			ws, err := v.client.Start(ctx, v.ws.ID(), api.StartRequest{})
			if err != nil {
				return nil, err
			}
			return ws.Seen(), nil
		}),
		of("delete", func(ctx context.Context, v *traveller) (*api.WorkspaceDelete, error) { return v.ws.Delete(ctx) }),
		of("delete again", func(ctx context.Context, v *traveller) (*api.WorkspaceDelete, error) {
			return v.client.Delete(ctx, v.ws.ID())
		}),
		of("status of a deleted one", func(ctx context.Context, v *traveller) (*api.Workspace, error) { return v.ws.Status(ctx) }),
	}
}

func oneShot() []stop {
	return []stop{
		of("run", func(ctx context.Context, v *traveller) (*api.VMExec, error) {
			return v.client.Run(ctx, "host", &pyro.RunOptions{Exec: api.ExecRequest{Command: "echo out; exit 5"}})
		}),
		of("no such environment", func(ctx context.Context, v *traveller) (*pyro.Workspace, error) {
			return v.client.Create(ctx, "nowhere", nil)
		}),
		of("a seed that is not there", func(ctx context.Context, v *traveller) (*pyro.Workspace, error) {
			return v.client.Create(ctx, "host", &pyro.CreateOptions{Seed: &pyro.Source{Path: filepath.Join(v.out, "nothing")}})
		}),
		of("a seed that cannot be packed", func(ctx context.Context, v *traveller) (*pyro.Workspace, error) {
			return v.client.Create(ctx, "host", &pyro.CreateOptions{Seed: &pyro.Source{Path: v.project}})
		}),
		of("no such workspace", func(ctx context.Context, v *traveller) (*pyro.Workspace, error) {
			return v.client.Get(ctx, "0123456789ab")
		}),
		of("no id", func(ctx context.Context, v *traveller) (*pyro.Workspace, error) { return v.client.Get(ctx, "../x") }),
		of("environments", func(ctx context.Context, v *traveller) ([]api.Environment, error) { return v.client.Environments(ctx) }),
		of("VM", func(ctx context.Context, v *traveller) (*api.VM, error) {
			vm, err := v.client.CreateVM(ctx, "host", nil)
			if err == nil {
				v.vm = vm.VMID
			}
			return vm, err
		}),
		of("start VM", func(ctx context.Context, v *traveller) (*api.VM, error) { return v.client.StartVM(ctx, v.vm) }),
		of("network of VM", func(ctx context.Context, v *traveller) (*api.VMNetwork, error) { return v.client.VMNetwork(ctx, v.vm) }),
		of("stop VM", func(ctx context.Context, v *traveller) (*api.VM, error) { return v.client.StopVM(ctx, v.vm) }),
		of("exec in VM", func(ctx context.Context, v *traveller) (*api.VMExec, error) {
			return v.client.ExecVM(ctx, v.vm, api.ExecRequest{Command: "true"})
		}),
		of("delete VM", func(ctx context.Context, v *traveller) (*api.VMDelete, error) { return v.client.DeleteVM(ctx, v.vm) }),
		of("no VM", func(ctx context.Context, v *traveller) (*api.VM, error) { return v.client.VM(ctx, v.vm) }),
		of("reap", func(ctx context.Context, v *traveller) (*api.VMReap, error) { return v.client.ReapVMs(ctx) }),
		of("list", func(ctx context.Context, v *traveller) (*api.WorkspaceList, error) { return v.client.List(ctx) }),
	}
}

// TestRemoteIsAsLocal does everything twice, with a client of this machine and with one of
// a server, and compares what came of it.
func TestRemoteIsAsLocal(t *testing.T) {
	t.Parallel()
	s := serve(t)
	far, err := pyro.Open(&pyro.Options{URL: "unix://" + s.socket, Env: []string{"HOME=" + t.TempDir()}})
	if err != nil {
		t.Fatal(err)
	}
	here, there := traveller{client: s.client}, traveller{client: far}
	for _, v := range []*traveller{&here, &there} {
		v.project, v.out = filepath.Join(t.TempDir(), "project"), t.TempDir()
		if err := os.Mkdir(v.project, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(v.project, "a"), []byte("a\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "mkfifo", filepath.Join(v.project, "fifo")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	for _, way := range [][]stop{begin(), live(), stopped(), oneShot()} {
		for _, at := range way {
			want, got := here.does(t, at), there.does(t, at)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-local +remote):\n%s", at.name, diff)
			}
			if t.Failed() && there.ws == nil && at.name == "create" {
				t.FailNow()
			}
		}
	}
}

// does does one thing, and tells what came of it without what is different every time.
func (v *traveller) does(t *testing.T, at stop) string {
	t.Helper()
	answer, err := at.do(t.Context(), v)
	if err != nil {
		var known *api.Error
		if !errors.As(err, &known) {
			return v.scrub("error without a kind: " + err.Error())
		}
		return v.scrub(string(api.KindOf(err)) + ": " + api.HintOf(err))
	}
	text, err := json.MarshalIndent(answer, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return v.scrub(string(text))
}

var (
	anyID   = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	anyTime = regexp.MustCompile(`"([a-z_]+_at|since|mtime|mtime_ns|duration_ms|disk_bytes|bytes_written|size|size_bytes)": [0-9.]+`)
	anyDate = regexp.MustCompile(`"[a-z_]+_at": "[^"]+"`)
)

func (v *traveller) scrub(text string) string {
	for path, name := range map[string]string{v.project: "PROJECT", v.out: "OUT"} {
		text = strings.ReplaceAll(text, path, name)
	}
	text = anyID.ReplaceAllString(text, "ID")
	return anyDate.ReplaceAllString(anyTime.ReplaceAllString(text, `"$1": N`), `DATE`)
}

// TestRemoteOverTCP lets in who shows the token and, over TLS, knows the certificate.
func TestRemoteOverTCP(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, "127.0.0.1")
	client := newClient(t)
	plain := serveAt(t, client, Place{Listen: "127.0.0.1:0"}, Options{})
	secure := serveAt(t, client, Place{Listen: "127.0.0.1:0", TLSCert: cert, TLSKey: key}, Options{})
	wrong, _ := certificate(t, "127.0.0.1")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(secure.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		opts pyro.Options
		env  []string
		want api.Kind // empty: it is let in
	}{
		"plain":                    {pyro.Options{URL: plain.url, Token: plain.token}, nil, ""},
		"plain, no token":          {pyro.Options{URL: plain.url}, nil, api.Denied},
		"plain, another's token":   {pyro.Options{URL: plain.url, Token: secure.token}, nil, api.Denied},
		"plain to TLS":             {pyro.Options{URL: "http" + strings.TrimPrefix(secure.url, "https"), Token: secure.token}, nil, api.Internal},
		"TLS":                      {pyro.Options{URL: secure.url, Token: secure.token}, []string{"PYRO_CA_FILE=" + cert}, ""},
		"TLS by variables":         {pyro.Options{}, []string{"PYRO_CA_FILE=" + cert, "PYRO_URL=" + secure.url, "PYRO_TOKEN_FILE=" + file}, ""},
		"TLS, unknown":             {pyro.Options{URL: secure.url, Token: secure.token}, nil, api.Unavailable},
		"TLS, another certificate": {pyro.Options{URL: secure.url, Token: secure.token}, []string{"PYRO_CA_FILE=" + wrong}, api.Unavailable},
		"TLS to plain":             {pyro.Options{URL: "https" + strings.TrimPrefix(plain.url, "http"), Token: plain.token}, nil, api.Unavailable},
		"nobody":                   {pyro.Options{URL: "http://127.0.0.1:1"}, nil, api.Unavailable},
		"no socket":                {pyro.Options{URL: "unix:///nowhere/api.sock"}, nil, api.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			c.opts.Env = append(c.env, "HOME="+t.TempDir())
			far, err := pyro.Open(&c.opts)
			if err != nil {
				t.Fatal(err)
			}
			list, err := far.List(t.Context())
			if c.want == "" && (err != nil || list.Count != 0) || c.want != "" && api.KindOf(err) != c.want {
				t.Errorf("%+v and %v of kind %s, want %q", list, err, api.KindOf(err), c.want)
			}
		})
	}
}

func TestAddressesThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"http://example.com:80", "http://10.0.0.1:80", "ftp://127.0.0.1", "unix://host/path", "unix:relative", "https://", "127.0.0.1:80",
		"https://user:hunter2@127.0.0.1", "https://127.0.0.1/path", "https://127.0.0.1?token=hunter2", "https://127.0.0.1#hunter2", "%",
	} {
		_, err := pyro.Open(&pyro.Options{URL: url, Env: []string{"HOME=" + t.TempDir()}})
		if !errors.Is(err, api.Invalid) || api.HintOf(err) == "" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// certificate makes one for an address that is signed by itself.
func certificate(t *testing.T, address string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.ParseIP(address)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", pkcs8)
}
