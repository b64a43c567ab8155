// Package config is what the owner of a machine, or one of its users, has chosen:
// limits and defaults of workspaces. A value comes from a PYRO_ variable, else from
// the file config.toml, else it is built in; the flags of a command go before all
// of them and are no business of this package.
//
// It is strict: an unknown key, a value of the wrong type or out of its range, or a
// file that somebody else could have written, is an error that names the place and
// the limit. A configuration that was understood in part would be one that nobody
// has written. It is never consent to run without isolation.
//
// The package reads one file and knows neither stores nor engines. The directories
// of pyro are chosen by variables alone, see store.FindDirs.
//
// The language of the file is TOML 1.0, see toml.io.
package config
