// Package processv1 is the wire contract between the host and process
// plugins, generated from process.proto by `make proto`.
package processv1
