package api

import (
	"fmt"
	"slices"
	"unicode/utf8"
)

// Where the value of a secret came from.
const (
	SecretLiteral     = "literal"
	SecretFromFile    = "file"
	SecretFromEnv     = "env"
	SecretFromCommand = "command"
)

// secretKinds are the first two as the replaced product has them, and ours.
var secretKinds = []string{SecretLiteral, SecretFromFile, SecretFromEnv, SecretFromCommand}

// CheckSecretName returns an Invalid error for a name that no secret can have.
func CheckSecretName(name string) error {
	if !envName().MatchString(name) {
		return invalid("secret name", fmt.Sprintf("%q is not allowed", clip(name)), "use letters, digits and underscore, at most 64, the first no digit")
	}
	return nil
}

// Check returns an Invalid error for a secret outside the limits. It never quotes the
// value.
func (s SecretValue) Check() error {
	if err := CheckSecretName(s.Name); err != nil {
		return err
	}
	switch n := len(s.Value); {
	case n == 0:
		return invalid("secret "+s.Name, "is empty", "give it a value")
	case n > MaxSecretBytes:
		return invalid("secret "+s.Name, fmt.Sprintf("has %d bytes, allowed are %d", n, MaxSecretBytes), "bring larger things in as a file, by `pyro workspace sync push`")
	case !utf8.ValidString(string(s.Value)):
		return invalid("secret "+s.Name, "is not UTF-8", "encode it, for example as base64")
	case !slices.Contains(secretKinds, s.SourceKind):
		return invalid("secret "+s.Name, fmt.Sprintf("has the source_kind %q, allowed are literal, file, env and command", clip(s.SourceKind)), "use literal")
	}
	return nil
}

// CheckSecrets returns an Invalid error for secrets that cannot be those of one
// workspace.
func CheckSecrets(secrets []SecretValue) error {
	if len(secrets) > MaxSecrets {
		return invalid("secrets", fmt.Sprintf("are %d, allowed are %d", len(secrets), MaxSecrets), "put several values into one")
	}
	seen := make(map[string]bool, len(secrets))
	for _, s := range secrets {
		if err := s.Check(); err != nil {
			return err
		}
		if seen[s.Name] {
			return invalid("secret "+s.Name, "is given twice", "give it once")
		}
		seen[s.Name] = true
	}
	return nil
}

// CheckSecretEnv returns an Invalid error for a mapping of secrets to environment
// variables that cannot be. Whether there are such secrets is the workspace's to know.
func CheckSecretEnv(names map[string]string) error {
	taken := make(map[string]string, len(names))
	for secret, variable := range names {
		if err := CheckSecretName(secret); err != nil {
			return err
		}
		if !envName().MatchString(variable) {
			return invalid("secret_env", fmt.Sprintf("%q is no name of an environment variable", clip(variable)), "use letters, digits and underscore, at most 64, the first no digit")
		}
		if other, ok := taken[variable]; ok {
			return invalid("secret_env", fmt.Sprintf("%s is to hold both %s and %s", variable, min(other, secret), max(other, secret)), "give one of them another variable")
		}
		taken[variable] = secret
	}
	return nil
}
