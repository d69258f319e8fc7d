// Package remote is the only room that talks to servers of others: it gets
// inputs by reference and sends what the host has to tell, under one Policy.
// The URLs come from clients, so nothing in them is trusted: schemes, names and
// ports are checked before each hop, and the address itself at the moment of
// connecting, when a name has been resolved for good. Neither a redirect nor a
// name that resolves differently the second time leads past the policy.
//
// The package imports job, whose Fetcher it implements; its central type is
// Client.
package remote
