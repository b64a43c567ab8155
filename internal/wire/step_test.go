package wire

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pyro-sandbox/pyro/api"
)

// actions are the constants of this package that name one.
func actions(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || !strings.HasPrefix(spec.Names[0].Name, "Action") || len(spec.Values) != 1 {
				return true
			}
			if value, ok := spec.Values[0].(*ast.BasicLit); ok {
				if text, err := strconv.Unquote(value.Value); err == nil {
					found[spec.Names[0].Name] = text
				}
			}
			return true
		})
	}
	if len(found) < 20 {
		t.Fatalf("only %d actions are found: %v", len(found), found)
	}
	return found
}

// TestEveryActionIsAStep finds an action of which errors would say nothing, or its name.
func TestEveryActionIsAStep(t *testing.T) {
	known := actions(t)
	for constant, action := range known {
		words, ok := steps[action]
		if !ok {
			t.Errorf("%s is in no words", constant)
		}
		if strings.Contains(words, "_") || words == action {
			t.Errorf("%s is in words of the protocol: %q", constant, words)
		}
	}
	if len(steps) != len(known) {
		t.Errorf("%d are in words, %d are there", len(steps), len(known))
	}
}

// TestErrorsNameNoAction asks an agent that is gone, and one that breaks the protocol.
func TestErrorsNameNoAction(t *testing.T) {
	gone := &Client{Dial: func(context.Context) (net.Conn, error) { return nil, errors.New("nobody is there") }}
	broken, _ := fakeAgent(t, answering("nonsense\n"))
	none := func(yield func([]byte) bool) {}
	for name, ask := range map[string]func(context.Context, *Client) error{
		"walk": func(ctx context.Context, c *Client) error {
			_, err := c.Walk(ctx, WalkRequest{Path: "/workspace"}, func(*WalkEntry) error { return nil })
			return err
		},
		"hash": func(ctx context.Context, c *Client) error {
			return c.Hash(ctx, "/workspace", none, func(*FileDigest) error { return nil })
		},
		"pull": func(ctx context.Context, c *Client) error {
			_, err := c.Pull(ctx, PullRequest{Path: "/workspace"}, discard{})
			return err
		},
		"push": func(ctx context.Context, c *Client) error {
			_, err := c.PushTree(ctx, "", strings.NewReader("x"))
			return err
		},
		"patch": func(ctx context.Context, c *Client) error {
			_, err := c.ApplyPatch(ctx, strings.NewReader("x"), PatchOptions{})
			return err
		},
		"stat": func(ctx context.Context, c *Client) error {
			_, err := c.Stat(ctx, "/workspace")
			return err
		},
		"not UTF-8": func(ctx context.Context, c *Client) error {
			_, err := c.Stat(ctx, "\xff")
			return err
		},
		"put": func(ctx context.Context, c *Client) error {
			_, err := c.Put(ctx, PutRequest{Path: "/workspace/x"}, strings.NewReader("x"))
			return err
		},
		"shell": func(ctx context.Context, c *Client) error {
			_, err := c.CloseShell(ctx, "s")
			return err
		},
		"hello": func(ctx context.Context, c *Client) error {
			_, err := c.Hello(ctx)
			return err
		},
	} {
		for whose, c := range map[string]*Client{"gone": gone, "broken": broken} {
			t.Run(name+" of one that is "+whose, func(t *testing.T) {
				err := ask(t.Context(), c)
				if err == nil || api.KindOf(err) == "" {
					t.Fatalf("got %v", err)
				}
				for _, action := range actions(t) {
					if strings.Contains(action, "_") && strings.Contains(err.Error(), action) {
						t.Errorf("it says %q", err)
					}
				}
			})
		}
	}
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
