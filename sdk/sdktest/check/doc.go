// Package check finds out whether a plugin keeps the contract of
// proto/README.md. It knows nothing about the plugin but its file: it starts it
// as a host does, drives it through its socket, and ends it, several times, so
// that it judges a plugin in any language.
//
// Table holds the checks. Run does one after another, each in an instance that
// is fit for it; an instance that failed a check is replaced, so that one fault
// fails one check. The package imports sdk, sdk/wire and the messages of
// proto/processv1; its central type is Report.
package check
