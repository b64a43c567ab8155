package supervisor

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/redact"
	"github.com/pyro-sandbox/pyro/internal/workspace"
)

// secrets are the secrets of the workspace. Their values are in this process, in the
// workspace's directory of secrets, and in the guest.
type secrets struct {
	changing sync.Mutex // held while they are changed, on disk and in the guest

	mu     sync.Mutex
	values map[string]string
	once   []string // values that there were: something may still print them
	set    *redact.Set
}

// known is what is taken out of everything that is said or kept.
func (s *secrets) known() *redact.Set {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.set
}

func (s *secrets) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// use makes these the secrets. Those that there were stay hidden.
func (s *secrets) use(values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, old := range s.values {
		if values[name] != old && !slices.Contains(s.once, old) {
			s.once = append(s.once, old)
		}
	}
	s.values = maps.Clone(values)
	if len(s.values) == 0 && len(s.once) == 0 {
		return
	}
	hide := slices.Concat(slices.Collect(maps.Values(values)), s.once)
	for _, value := range hide { // without the line end of a file, too
		hide = append(hide, strings.TrimRight(value, "\r\n"))
	}
	s.set = redact.New(hide...)
}

// keepSecrets writes the secrets of a new workspace and hides them from now on. The
// request that goes on has none.
func (s *supervisor) keepSecrets(asked []api.SecretValue) error {
	if len(asked) == 0 {
		return nil
	}
	values := make(map[string]string, len(asked))
	var listed []api.Secret
	for _, secret := range asked {
		if err := workspace.WriteSecret(s.held.Path(), secret.Name, string(secret.Value)); err != nil {
			return err
		}
		values[secret.Name] = string(secret.Value)
		listed = append(listed, api.Secret{Name: secret.Name, SourceKind: secret.SourceKind})
	}
	slices.SortFunc(listed, func(a, b api.Secret) int { return strings.Compare(a.Name, b.Name) })
	s.note(func(r *workspace.Record) { r.Secrets = listed })
	s.secrets.use(values)
	return nil
}

// loadSecrets reads the secrets of a workspace that is started again.
func (s *supervisor) loadSecrets() error {
	values := make(map[string]string)
	for _, secret := range s.recorded().Secrets {
		value, err := workspace.ReadSecret(s.held.Path(), secret.Name)
		if err != nil {
			return &api.Error{
				Kind: api.Internal, Op: "read secrets", ID: s.ID, Err: err,
				Hint: "`pyro workspace secret unset " + s.ID + " " + secret.Name + "` gives it up",
			}
		}
		values[secret.Name] = value
	}
	s.secrets.use(values)
	return nil
}

// installSecrets puts the secrets into the guest, in place of those that are there.
func (s *supervisor) installSecrets(ctx context.Context, values map[string]string) error {
	if len(values) == 0 && s.secrets.known() == nil {
		return nil // there never were any
	}
	archive, err := packSecrets(values)
	if err != nil {
		return err
	}
	_, err = s.agent().InstallSecrets(ctx, bytes.NewReader(archive), int64(len(archive)))
	return err
}

// packSecrets is a tar of files that their owner alone may read.
func packSecrets(values map[string]string) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		head := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o400, Size: int64(len(values[name]))}
		if err := w.WriteHeader(head); err != nil {
			return nil, err
		}
		if _, err := w.Write([]byte(values[name])); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return buf.Bytes(), err
}

// secretEnv is the environment that a call asks for: variables by name of the secret.
func (s *supervisor) secretEnv(asked map[string]string) (map[string]string, error) {
	if len(asked) == 0 {
		return nil, nil
	}
	if err := api.CheckSecretEnv(asked); err != nil {
		return nil, err
	}
	values := s.secrets.all()
	env := make(map[string]string, len(asked))
	for name, variable := range asked {
		value, ok := values[name]
		if !ok {
			return nil, noSecret(s.ID, name)
		}
		if strings.ContainsRune(value, 0) {
			return nil, &api.Error{
				Kind: api.Invalid, Hint: "read it from /run/pyro-secrets/" + name,
				Err: fmt.Errorf("secret %s holds a zero byte and cannot be an environment variable", name),
			}
		}
		env[variable] = value
	}
	return env, nil
}

func noSecret(id, name string) error {
	return &api.Error{
		Kind: api.Invalid, Hint: "`pyro workspace secret list " + id + "` shows those there are",
		Err: fmt.Errorf("secret %q is not known", name),
	}
}

func (s *supervisor) serveSecrets(w http.ResponseWriter, _ *http.Request) {
	now := s.recorded()
	reply(w, now.SecretList())
}

func (s *supervisor) serveSetSecret(w http.ResponseWriter, r *http.Request) {
	var req api.SecretRequest
	if err := decode(w, r, &req); err != nil {
		fail(w, err)
		return
	}
	secret := api.SecretValue{Name: r.PathValue("name"), Value: req.Value, SourceKind: req.SourceKind}
	err := api.CheckSecrets([]api.SecretValue{secret})
	if err == nil {
		err = s.changeSecrets(r.Context(), "set secret", func(values map[string]string, r *workspace.Record) error {
			values[secret.Name] = string(secret.Value)
			r.Secrets = slices.DeleteFunc(slices.Clone(r.Secrets), func(old api.Secret) bool { return old.Name == secret.Name })
			r.Secrets = append(r.Secrets, api.Secret{Name: secret.Name, SourceKind: secret.SourceKind})
			slices.SortFunc(r.Secrets, func(a, b api.Secret) int { return strings.Compare(a.Name, b.Name) })
			if len(r.Secrets) > api.MaxSecrets {
				return &api.Error{Kind: api.Conflict, Hint: "unset one that is not needed any more", Err: fmt.Errorf("there are %d secrets, as many as there may be", api.MaxSecrets)}
			}
			return workspace.WriteSecret(s.held.Path(), secret.Name, string(secret.Value))
		})
	}
	now := s.recorded()
	s.answer(w, "set secret", now.SecretList(), err)
}

func (s *supervisor) serveUnsetSecret(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	err := s.changeSecrets(r.Context(), "unset secret", func(values map[string]string, r *workspace.Record) error {
		if _, ok := values[name]; !ok {
			return &api.Error{Kind: api.NotFound, Hint: "`pyro workspace secret list " + s.ID + "` shows those there are", Err: fmt.Errorf("secret %q does not exist", name)}
		}
		delete(values, name)
		r.Secrets = slices.DeleteFunc(slices.Clone(r.Secrets), func(old api.Secret) bool { return old.Name == name })
		return nil
	})
	if err == nil {
		err = workspace.RemoveSecret(s.held.Path(), name)
	}
	now := s.recorded()
	s.answer(w, "unset secret", now.SecretList(), err)
}

// changeSecrets changes the secrets on disk, in the record and in the guest; where one of
// them fails the old ones stay.
func (s *supervisor) changeSecrets(ctx context.Context, op string, change func(map[string]string, *workspace.Record) error) error {
	if !isolates(s.engine) {
		return &api.Error{
			Kind: api.Unsupported, Hint: "use an engine that isolates",
			Err: fmt.Errorf("engine %s cannot keep secrets from the rest of this machine", s.engine.Info().Name),
		}
	}
	done, err := s.enter(op)
	if err != nil {
		return err
	}
	defer done()
	s.touch()
	s.secrets.changing.Lock()
	defer s.secrets.changing.Unlock()
	before, old := s.recorded(), s.secrets.all()
	after, values := before, maps.Clone(old)
	if values == nil {
		values = make(map[string]string)
	}
	if err := change(values, &after); err != nil {
		return err
	}
	s.secrets.use(values) // hidden before the guest can print it
	if err := s.installSecrets(ctx, values); err != nil {
		s.secrets.use(old)
		return err
	}
	s.note(func(r *workspace.Record) { r.Secrets = after.Secrets })
	return s.save()
}
