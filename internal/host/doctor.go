package host

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
)

// Doctor looks at one host or all: whether it is there, what it runs as pyro, and whether
// that answers. It changes nothing. It takes as long as the slowest server, at most 15 s
// and some; fewer if ctx ends.
func (m Machine) Doctor(ctx context.Context, req api.HostRequest) (*api.HostDoctor, error) {
	rows := table()
	if req.Host != "" {
		h, err := pick(req.Host)
		if err != nil {
			return nil, err
		}
		rows = []row{*h}
	}
	if _, err := m.place(&rows[0], ""); err != nil {
		return nil, err
	}
	found := &api.HostDoctor{OK: true, Hosts: make([]api.HostInfo, len(rows))}
	var all sync.WaitGroup
	for i := range rows {
		all.Go(func() { found.Hosts[i] = m.examine(ctx, &rows[i], req) })
	}
	all.Wait()
	for _, info := range found.Hosts {
		for _, p := range info.Places {
			found.OK = found.OK && p.State != api.HostBroken && p.State != api.HostUnreadable
		}
	}
	return found, ctx.Err()
}

func (m Machine) examine(ctx context.Context, h *row, req api.HostRequest) api.HostInfo {
	info := api.HostInfo{Host: h.name, Title: h.title, Places: []api.HostPlace{}}
	if path := m.installed(h); path != "" {
		info.Installed, info.Found = true, &path
	}
	for _, p := range m.places(h) {
		if req.Scope != "" && req.Scope != p.scope {
			continue
		}
		seen := m.inspect(ctx, h, &p, req)
		// What is no user's file is of interest only if pyro is in it, and two tables of one
		// file are unreadable together.
		if p.scope == api.HostScopeUser || seen.State != api.HostAbsent && (p.scope != api.HostScopeLocal || seen.State != api.HostUnreadable) {
			info.Places = append(info.Places, seen)
		}
	}
	return info
}

// installed returns what says that a host is there, "" if nothing does.
func (m Machine) installed(h *row) string {
	for _, program := range h.programs {
		if path := m.find(program); path != "" {
			return path
		}
	}
	if m.OS == "darwin" {
		for _, app := range h.apps {
			for _, dir := range []string{"/Applications", m.home("Applications")} {
				if path := filepath.Join(dir, app+".app"); exists(path) {
					return path
				}
			}
		}
	}
	for _, trace := range h.traces(m) {
		if m.isTrace(h, trace) {
			return trace
		}
	}
	return ""
}

// isTrace reports whether there is more in a directory than the settings, which pyro may
// have written for a host to come.
func (m Machine) isTrace(h *row, dir string) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		path := filepath.Join(dir, e.Name())
		for _, p := range m.places(h) {
			if slices.ContainsFunc(p.paths, func(ours string) bool {
				return ours == path || strings.HasPrefix(ours, path+"/") || strings.HasPrefix(path, ours+backupMark)
			}) {
				return false
			}
		}
		return true
	})
}

// inspect looks at one place.
func (m Machine) inspect(ctx context.Context, h *row, p *place, req api.HostRequest) api.HostPlace {
	s, err := look(h, p)
	if err != nil {
		return finding(p, p.paths[0], api.HostUnreadable, err.Error(), api.HintOf(err))
	}
	if s.have == nil {
		return finding(p, s.file.path, api.HostAbsent, "", "")
	}
	state, reason, next, server := m.judge(ctx, s, req)
	seen := finding(p, s.file.path, state, reason, next)
	seen.Entry, seen.Server = s.have.shown(), server
	return seen
}

func finding(p *place, path string, state api.HostState, reason, next string) api.HostPlace {
	seen := api.HostPlace{Scope: p.scope, Path: path, State: state}
	if reason != "" {
		seen.Reason = &reason
	}
	if next != "" {
		seen.Next = &next
	}
	return seen
}

// judge says how it stands with an entry.
func (m Machine) judge(ctx context.Context, s *sight, req api.HostRequest) (state api.HostState, reason, next string, server *api.HostServer) {
	repair := "pyro host repair " + s.row.name
	if s.at.scope != api.HostScopeUser {
		repair += " --scope " + s.at.scope
	}
	e := *s.have
	switch {
	case e.serving() < 0:
		return api.HostForeign, "it is no `mcp serve`", "`" + repair + "` puts pyro in its place", nil
	case m.resolve(e.command[0]) == "":
		return api.HostBroken, "there is no program " + e.command[0], "`" + repair + "`", nil
	case e.disabled:
		return api.HostDisabled, "the host was told not to use it", "enable it in " + s.file.path, nil
	}
	if len(req.Serve) == 0 {
		req.Serve = e.kept()
	}
	drift := e.drift(m.wanted(s.row, s.at.scope, req, &e))
	if why := m.untrusted(s, e); why != "" {
		reason = why
	} else {
		var err error
		if server, err = m.ask(ctx, s.row, e); err != nil {
			next = "run " + api.Quote(e.command) + " to see what it says"
			if drift != "" {
				next = "`" + repair + "`"
			}
			return api.HostBroken, err.Error(), next, nil
		}
	}
	if drift != "" {
		return api.HostDrift, drift, "`" + repair + "`", server
	}
	return api.HostConnected, reason, "", server
}

// untrusted says why a server is not started to see whether it works. What a project brings
// along may come from anybody, and hosts ask before they run it: only this very program is
// started, with nothing set for it.
func (m Machine) untrusted(s *sight, e entry) string {
	if s.at.scope != api.HostScopeProject || e.serving() == 1 && len(e.env) == 0 && sameFile(m.resolve(e.command[0]), m.Executable) {
		return ""
	}
	return "it was not started, since a project brings it along"
}
