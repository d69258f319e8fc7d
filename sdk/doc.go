// Package sdk is what the author of a plugin writes against. A process is a
// function from a struct of inputs to a struct of outputs; the description
// that clients see comes from the types and their tags. A plugin is a main
// function with one call:
//
//	func main() {
//		sdk.Serve(sdk.Plugin{Name: "greeter", Version: "1.0.0"},
//			sdk.New(sdk.Info{ID: "greet", Title: "Greet"}, greet))
//	}
//
// Started by a host, the program serves its processes; started by hand, it is
// an ordinary command that describes and runs them. README.md beside this file
// is the guide.
//
// The package imports sdk/ogc, sdk/schema and sdk/wire. Its central types are
// Process and Job.
package sdk
