// Package httpapi is `pyro serve`: what the SDK can do, as an HTTP API on a socket of this
// machine or for others.
//
// Each workspace has an API of its own, on the socket of its supervisor. This package is a
// reverse proxy for those, under /v1/workspaces/{id}/, and answers itself what no supervisor
// can: what makes workspaces, lists them, or is done to one that does not run. [routes] names
// all of it once, and mux, description and tests are made from that.
//
// It decides who may ask and how much: tokens, TLS, limits on size, time and number, and that
// nothing is taken from a page of a browser. It decides nothing about sandboxes; and it keeps
// nothing: when a server ends, workspaces live on, but for those that were leased.
package httpapi
