package pyro

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"github.com/pyro-sandbox/pyro/api"
)

const (
	opSetSecret   = "set secret"
	opUnsetSecret = "unset secret"
	opListSecrets = "list secrets"
)

// SetSecret gives a workspace that runs a secret, or another value to the one of that name.
// It is in the guest's /run/pyro-secrets when SetSecret returns. What has the old value in
// its environment keeps it.
func (w *Workspace) SetSecret(ctx context.Context, secret api.SecretValue) (*api.SecretList, error) {
	if err := secret.Check(); err != nil {
		return nil, api.About(opSetSecret, w.id, err)
	}
	w.reach(ctx)
	now, err := send[api.SecretList](ctx, w, question{
		op: opSetSecret, method: http.MethodPut, path: "/v1/secrets/" + url.PathEscape(secret.Name), within: answerTime, limit: maxReply,
	}, api.SecretRequest{Value: secret.Value, SourceKind: secret.SourceKind})
	return now, w.explain(ctx, opSetSecret, err)
}

// UnsetSecret takes a secret away, in the guest too. What has it in its environment keeps
// it.
func (w *Workspace) UnsetSecret(ctx context.Context, name string) (*api.SecretList, error) {
	if err := api.CheckSecretName(name); err != nil {
		return nil, api.About(opUnsetSecret, w.id, err)
	}
	now, err := ask[api.SecretList](ctx, w.control, question{
		op: opUnsetSecret, method: http.MethodDelete, path: "/v1/secrets/" + url.PathEscape(name), within: answerTime, limit: maxReply,
	})
	return now, w.explain(ctx, opUnsetSecret, err)
}

// Secrets names the secrets of the workspace, whether it runs or not. Values are in no
// answer.
func (w *Workspace) Secrets(ctx context.Context) (*api.SecretList, error) {
	list, err := ask[api.SecretList](ctx, w.control, question{op: opListSecrets, method: http.MethodGet, path: "/v1/secrets", within: answerTime, limit: maxReply})
	if !errors.Is(err, errAbsent) {
		return list, err
	}
	record, err := w.recorded(ctx)
	if err != nil {
		return nil, err
	}
	return record.SecretList(), nil
}
