//go:build linux

package sys_test

import (
	"context"
	"testing"

	"github.com/pyro-sandbox/pyro/internal/sys"
)

func TestAChildEndsWithItsParent(t *testing.T) {
	parent := helper(t, "bound", nil)
	children := sys.ChildrenOf(parent.Process.Pid)
	if len(children) != 1 {
		t.Fatalf("children: %v", children)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := children[0].Wait(ctx); err != nil {
		t.Errorf("it lives on: %v", err)
	}
}
