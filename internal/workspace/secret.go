package workspace

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pyro-sandbox/pyro/api"
	"github.com/pyro-sandbox/pyro/internal/store"
)

// WriteSecret keeps a secret of the workspace in dir; only its owner may read it.
func WriteSecret(dir, name, value string) error {
	if err := api.CheckSecretName(name); err != nil {
		return err
	}
	secrets := filepath.Join(dir, store.SecretsDir)
	if err := os.Mkdir(secrets, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	fresh := filepath.Join(secrets, name+".tmp")
	if err := os.WriteFile(fresh, []byte(value), 0o600); err != nil {
		return errors.Join(err, store.Overwrite(fresh))
	}
	if err := store.Supersede(filepath.Join(secrets, name), fresh); err != nil {
		return errors.Join(err, store.Overwrite(fresh))
	}
	return nil
}

// ReadSecret reads a secret of the workspace in dir.
func ReadSecret(dir, name string) (string, error) {
	if err := api.CheckSecretName(name); err != nil {
		return "", err
	}
	value, err := os.ReadFile(filepath.Join(dir, store.SecretsDir, name))
	return string(value), err
}

// RemoveSecret overwrites and removes a secret.
func RemoveSecret(dir, name string) error {
	if err := api.CheckSecretName(name); err != nil {
		return err
	}
	return store.Overwrite(filepath.Join(dir, store.SecretsDir, name))
}
