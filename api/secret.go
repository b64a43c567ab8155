package api

import "fmt"

// SecretValue is a secret on its way in. It is part of requests alone: nothing keeps it
// but the workspace's own directory of secrets, and no answer holds it.
type SecretValue struct {
	Name       string `json:"name"`
	Value      Masked `json:"value"`
	SourceKind string `json:"source_kind"` // literal, file, env or command: where it came from
}

// Masked is a text that no message shows: however it is printed, it is [secret].
// Encoded as JSON it is itself.
type Masked string

const mask = "[secret]"

// String implements fmt.Stringer.
func (Masked) String() string { return mask }

// GoString implements fmt.GoStringer.
func (Masked) GoString() string { return mask }

// Format implements fmt.Formatter, so that no verb shows it.
func (Masked) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// Bounds of secrets.
const (
	MaxSecrets     = 64
	MaxSecretBytes = 64 << 10
	RedactedText   = "[REDACTED]" // stands where the value of a secret was printed
)

// SecretRequest sets a secret of a workspace that is there. Its name is in the path.
type SecretRequest struct {
	Value      Masked `json:"value"`
	SourceKind string `json:"source_kind"`
}

// SecretList names the secrets of a workspace.
type SecretList struct {
	WorkspaceID string   `json:"workspace_id"`
	Count       int      `json:"count"`
	Secrets     []Secret `json:"secrets"`
}
