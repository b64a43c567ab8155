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

	hidden redact.Memory // taken out of everything that is said or kept
}

// known is what is hidden now; nil: there never was a secret.
func (s *secrets) known() *redact.Set { return s.hidden.Set() }

func (s *secrets) all() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values)
}

// use makes these the secrets. Those that there were stay hidden.
func (s *secrets) use(values map[string]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = maps.Clone(values)
	s.hidden.Use(slices.Collect(maps.Values(values)))
}

// keepSecrets writes the secrets of a new workspace and hides them from now on. The
// request that goes on has none.
func (s *supervisor) keepSecrets(asked []api.SecretValue) error {
	if len(asked) == 0 {
		return nil
	}
	values := make(map[string]string, len(asked))
	var names []api.Secret
	for _, secret := range asked {
		if err := workspace.WriteSecret(s.held.Path(), secret.Name, string(secret.Value)); err != nil {
			return err
		}
		values[secret.Name] = string(secret.Value)
		names = listed(names, secret.Name, &secret)
	}
	s.note(func(r *workspace.Record) { r.Secrets = names })
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
	return s.putSecrets(ctx, s.box(), values)
}

// putSecrets is installSecrets in one sandbox of several.
func (s *supervisor) putSecrets(ctx context.Context, b *box, values map[string]string) error {
	if len(values) == 0 && s.secrets.known() == nil {
		return nil // there never were any
	}
	archive, err := packSecrets(values)
	if err != nil {
		return err
	}
	_, err = b.agent().InstallSecrets(ctx, bytes.NewReader(archive), int64(len(archive)))
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
		err = s.changeSecrets(r.Context(), "set secret", secret.Name, &secret)
	}
	now := s.recorded()
	s.answer(w, "set secret", now.SecretList(), err)
}

func (s *supervisor) serveUnsetSecret(w http.ResponseWriter, r *http.Request) {
	err := s.changeSecrets(r.Context(), "unset secret", r.PathValue("name"), nil)
	now := s.recorded()
	s.answer(w, "unset secret", now.SecretList(), err)
}

// changeSecrets sets the secret of a name, or takes it away where fresh is nil: in the
// guest, on disk and in the record. Where one of them fails the old one stays.
func (s *supervisor) changeSecrets(ctx context.Context, op, name string, fresh *api.SecretValue) error {
	if !isolates(s.box().engine) {
		return &api.Error{
			Kind: api.Unsupported, Hint: "use an engine that isolates",
			Err: fmt.Errorf("engine %s cannot keep secrets from the rest of this machine", s.box().engine.Info().Name),
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
	old := s.secrets.all()
	values := make(map[string]string, len(old)+1)
	maps.Copy(values, old)
	if err := applySecret(values, s.ID, name, fresh); err != nil {
		return err
	}
	s.secrets.use(values) // hidden before the guest can print it
	err = s.installSecrets(ctx, values)
	if err == nil && fresh != nil {
		err = workspace.WriteSecret(s.held.Path(), name, string(fresh.Value))
	}
	if err != nil {
		s.secrets.use(old)
		_ = s.installSecrets(context.WithoutCancel(ctx), old) // or nothing of the guest works any more
		return err
	}
	s.note(func(r *workspace.Record) { r.Secrets = listed(r.Secrets, name, fresh) })
	s.eventSecret(name, fresh != nil)
	if err := s.save(); err != nil || fresh != nil {
		return err
	}
	return workspace.RemoveSecret(s.held.Path(), name) // when nobody looks for it any more
}

// applySecret is changeSecrets in a map of values.
func applySecret(values map[string]string, id, name string, fresh *api.SecretValue) error {
	_, there := values[name]
	switch {
	case fresh == nil && !there:
		return &api.Error{Kind: api.NotFound, Hint: "`pyro workspace secret list " + id + "` shows those there are", Err: fmt.Errorf("secret %q does not exist", name)}
	case fresh == nil:
		delete(values, name)
	case !there && len(values) >= api.MaxSecrets:
		return &api.Error{Kind: api.Conflict, Hint: "unset one that is not needed any more", Err: fmt.Errorf("there are %d secrets, as many as there may be", api.MaxSecrets)}
	default:
		values[name] = string(fresh.Value)
	}
	return nil
}

// listed is the names of secrets after a change.
func listed(old []api.Secret, name string, fresh *api.SecretValue) []api.Secret {
	list := slices.DeleteFunc(slices.Clone(old), func(s api.Secret) bool { return s.Name == name })
	if fresh != nil {
		list = append(list, api.Secret{Name: name, SourceKind: fresh.SourceKind})
	}
	slices.SortFunc(list, func(a, b api.Secret) int { return strings.Compare(a.Name, b.Name) })
	return list
}
