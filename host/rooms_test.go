package host_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const module = "geomill"

// room is a row of the table of rooms: a package, or with a trailing "/..." a
// package and everything below it. Paths are relative to the module.
type room struct {
	path string
	may  []string // our packages that it may import; its own room always
	// Our packages that not even its tests may import.
	never []string
}

var anyRoom = []string{"..."}

// rooms is the table: who may know whom. The longest path that fits counts,
// and a package that fits none has no business in the module.
var rooms = []room{
	{path: "proto/processv1", never: []string{"host/...", "sdk/..."}},
	{path: "proto/managerv1", never: []string{"host/...", "sdk/..."}},

	{path: "sdk/ogc/...", never: []string{"host/..."}},
	{path: "sdk/schema", may: []string{"sdk/schema/decode"}, never: []string{"host/..."}},
	// Apart, for plugins link them, and what compiles schemas delays each start.
	{path: "sdk/schema/decode", never: []string{"host/..."}},
	{path: "sdk/schema/derive", never: []string{"host/..."}},
	{path: "sdk/wire/...", may: []string{"proto/...", "sdk/ogc"}, never: []string{"host/..."}},
	{path: "sdk/wire/program", never: []string{"host/...", "proto/..."}},
	{path: "sdk", may: []string{"sdk/ogc", "sdk/schema/decode", "sdk/schema/derive", "sdk/wire"}, never: []string{"host/..."}},
	{path: "sdk/manifest/...", may: []string{"sdk", "sdk/ogc", "sdk/wire", "sdk/wire/program"}, never: []string{"host/..."}},
	{path: "sdk/sdktest/...", may: []string{"sdk", "sdk/sdktest/check", "sdk/wire"}, never: []string{"host/..."}},
	{
		path: "sdk/sdktest/check/...", may: []string{"sdk", "sdk/ogc", "sdk/schema/...", "sdk/wire", "sdk/wire/program", "proto/processv1"},
		never: []string{"host/..."},
	},

	{
		path: "host/internal/job", may: []string{"host/internal/removal", "sdk/ogc", "sdk/schema/..."},
		never: []string{"host", "host/internal/store/...", "host/internal/plugin/...", "host/internal/api/...", "host/internal/remote/..."},
	},
	{path: "host/internal/job/jobtest", may: []string{"host/internal/job", "sdk/ogc"}},
	{path: "host/internal/store/...", may: []string{"host/internal/job", "sdk/ogc"}},
	{path: "host/internal/plugin/atomicfile"},
	{path: "host/internal/plugin/cgroup"},
	{path: "host/internal/plugin/...", may: []string{"host/internal/job", "host/internal/removal", "sdk/ogc", "sdk/wire", "sdk/wire/program"}},
	{path: "host/internal/plugin/users", may: []string{"host/internal/plugin/atomicfile"}},
	{path: "host/internal/plugin/settings", may: []string{"sdk/schema/..."}},
	{path: "host/internal/remote/...", may: []string{"host/internal/job", "sdk/ogc"}},
	{path: "host/internal/callback/...", may: []string{"host/internal/job", "sdk/ogc"}},
	{path: "host/internal/removal"},
	{path: "host/internal/archive/..."},
	{path: "host/internal/admin/..."},
	{path: "host/internal/api/...", may: []string{"host/internal/job", "sdk/ogc"}},
	{path: "host", may: anyRoom},
	{path: "host/cmd/geomill/...", may: []string{"host", "sdk", "sdk/manifest"}},

	{path: "plugins/...", may: []string{"sdk", "sdk/schema/...", "sdk/ogc"}, never: []string{"host/..."}},
	{path: "examples/...", may: []string{"sdk/...", "proto/..."}, never: []string{"host/..."}},
}

// libraries says where each third-party library may be imported, by the start
// of its import path. Tests may import what they like.
var libraries = map[string][]string{
	"aead.dev/minisign":                   {"host/internal/plugin/..."},
	"github.com/Masterminds/semver":       {"host/internal/plugin/..."},
	"github.com/alecthomas/kong":          {"host/cmd/geomill/..."},
	"github.com/dgraph-io":                {"host/internal/store/..."},
	"github.com/elastic/go-seccomp-bpf":   {"host/internal/plugin/..."},
	"github.com/fsnotify/fsnotify":        {"host/internal/plugin/...", "host/cmd/geomill/..."},
	"github.com/goccy/go-yaml":            {"host", "host/cmd/geomill/...", "sdk/manifest/..."},
	"github.com/google/uuid":              {"host/..."},
	"github.com/hashicorp/go-hclog":       {"host/internal/plugin/..."},
	"github.com/hashicorp/go-plugin":      {"host/internal/plugin/..."},
	"github.com/invopop/jsonschema":       {"sdk/schema/derive"},
	"github.com/julienschmidt/httprouter": {"host/internal/api/..."},
	"github.com/klauspost/compress":       {"host/internal/archive/..."},
	"github.com/peterstace/simplefeatures": {
		"plugins/...", "examples/...",
	},
	"github.com/santhosh-tekuri/jsonschema": {"sdk/schema"},
	"golang.org/x":                          anyRoom,
	"google.golang.org/grpc":                {"proto/...", "sdk/wire/...", "sdk/sdktest/...", "host/internal/plugin/..."},
	"google.golang.org/protobuf":            {"proto/...", "sdk/wire/...", "sdk/sdktest/check/...", "host/internal/plugin/..."},

	"github.com/google/go-cmp":        {"sdk/sdktest/...", "host/internal/job/jobtest"},
	"github.com/rogpeppe/go-internal": {"sdk/sdktest/...", "host/internal/job/jobtest"},
	"go.uber.org/goleak":              {"sdk/sdktest/...", "host/internal/job/jobtest"},
	"pgregory.net/rapid":              {"sdk/sdktest/...", "host/internal/job/jobtest"},
}

// pkg is a node of the import graph, as "go list -json" prints it.
type pkg struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func TestEveryPackageImportsOnlyWhatItsRoomAllows(t *testing.T) {
	t.Parallel()
	graph := importGraph(t)
	for _, must := range []string{"sdk/wire", "host/internal/job"} {
		if !slices.ContainsFunc(graph, func(p pkg) bool { return p.ImportPath == module+"/"+must }) {
			t.Errorf("the import graph lacks %s, so it was not read properly", must)
		}
	}
	for _, fault := range wrongArrows(graph) {
		t.Error(fault)
	}
}

func TestWrongArrowsAreFound(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		give pkg
		want []string
	}{
		"an allowed import": {
			give: pkg{ImportPath: "geomill/host/internal/store", Imports: []string{
				"context", "net/http", "geomill/host/internal/job", "geomill/sdk/ogc", "github.com/dgraph-io/badger/v4",
			}},
		},
		"the centre knows an implementer": {
			give: pkg{ImportPath: "geomill/host/internal/job", Imports: []string{"geomill/host/internal/store"}},
			want: []string{"host/internal/job imports host/internal/store: only host/internal/removal, sdk/ogc, sdk/schema/..."},
		},
		"neighbours know each other": {
			give: pkg{ImportPath: "geomill/host/internal/api", Imports: []string{"geomill/host/internal/plugin"}},
			want: []string{"host/internal/api imports host/internal/plugin: only host/internal/job, sdk/ogc"},
		},
		"the SDK knows the host": {
			give: pkg{ImportPath: "geomill/sdk", Imports: []string{"geomill/host"}},
			want: []string{"sdk imports host: only sdk/ogc, sdk/schema/decode, sdk/schema/derive, sdk/wire"},
		},
		"a room that may import nothing": {
			give: pkg{ImportPath: "geomill/sdk/ogc", Imports: []string{"geomill/sdk/schema"}},
			want: []string{"sdk/ogc imports sdk/schema: only its own room"},
		},
		"a package inside its room": {
			give: pkg{ImportPath: "geomill/plugins/buffer", Imports: []string{"geomill/plugins/internal/vector"}},
		},
		"the host's root knows all": {
			give: pkg{ImportPath: "geomill/host", Imports: []string{"geomill/host/internal/api", "geomill/sdk/wire"}},
		},
		"a package without a room": {
			give: pkg{ImportPath: "geomill/host/internal/util"},
			want: []string{"host/internal/util: in no room"},
		},
		"a package that only starts like a room": {
			give: pkg{ImportPath: "geomill/host/internal/apiary"},
			want: []string{"host/internal/apiary: in no room"},
		},
		"an import without a room": {
			give: pkg{ImportPath: "geomill/sdk/wire", Imports: []string{"geomill/protocol"}},
			want: []string{"sdk/wire imports protocol: only proto/..., sdk/ogc"},
		},
		"a library outside its room": {
			give: pkg{ImportPath: "geomill/host", Imports: []string{"github.com/dgraph-io/badger/v4/options"}},
			want: []string{"host imports github.com/dgraph-io/badger/v4/options: only for host/internal/store/..."},
		},
		"a library that nobody placed": {
			give: pkg{ImportPath: "geomill/host", Imports: []string{"github.com/hashicorp/go-plugin2"}},
			want: []string{"host imports github.com/hashicorp/go-plugin2: no room has this library"},
		},
		"a test may import a neighbour and any library": {
			give: pkg{
				ImportPath:   "geomill/host/internal/api",
				XTestImports: []string{"geomill/host/internal/store", "github.com/dgraph-io/badger/v4"},
			},
		},
		"the centre's tests know an implementer": {
			give: pkg{ImportPath: "geomill/host/internal/job", XTestImports: []string{"geomill/host/internal/store"}},
			want: []string{"host/internal/job imports host/internal/store: not even in tests"},
		},
		"a plugin's tests know the host": {
			give: pkg{ImportPath: "geomill/plugins/hello-world", TestImports: []string{"geomill/host"}},
			want: []string{"plugins/hello-world imports host: not even in tests"},
		},
		"several faults": {
			give: pkg{ImportPath: "geomill/sdk/schema", Imports: []string{
				"geomill/sdk/ogc", "github.com/hashicorp/go-plugin", "github.com/santhosh-tekuri/jsonschema/v6",
			}},
			want: []string{
				"sdk/schema imports sdk/ogc: only sdk/schema/decode",
				"sdk/schema imports github.com/hashicorp/go-plugin: only for host/internal/plugin/...",
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, wrongArrows([]pkg{tt.give})); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// Every room and library row names rooms that the table knows, so that a
// renamed room cannot leave a row that never applies.
func TestRoomTableNamesOnlyRoomsItHas(t *testing.T) {
	t.Parallel()
	check := func(row string, patterns []string) {
		for _, p := range patterns {
			if !slices.ContainsFunc(rooms, func(r room) bool { return matches(p, trim(r.path)) }) {
				t.Errorf("%s names %s, which no room fits", row, p)
			}
		}
	}
	for _, r := range rooms {
		check(r.path, r.may)
		check(r.path, r.never)
	}
	for library, where := range libraries {
		check(library, where)
	}
}

// wrongArrows returns one line for each import that the table forbids.
func wrongArrows(graph []pkg) []string {
	var faults []string
	for _, p := range graph {
		from := relative(p.ImportPath)
		r, ok := roomOf(from)
		if !ok {
			faults = append(faults, from+": in no room")
			continue
		}
		for _, to := range p.Imports {
			if why := refusal(r, from, to); why != "" {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", from, relative(to), why))
			}
		}
		for _, to := range slices.Concat(p.TestImports, p.XTestImports) {
			if ours(to) && matchesAny(r.never, relative(to)) {
				faults = append(faults, fmt.Sprintf("%s imports %s: not even in tests", from, relative(to)))
			}
		}
	}
	return faults
}

// refusal says why a package of room r may not import the package to; it is
// empty when it may.
func refusal(r room, from, to string) string {
	switch {
	case standard(to):
		return ""
	case ours(to):
		if matches(r.path, relative(to)) || matchesAny(r.may, relative(to)) {
			return ""
		}
		if len(r.may) == 0 {
			return "only its own room"
		}
		return "only " + strings.Join(r.may, ", ")
	}
	for library, where := range libraries {
		if !matches(library+"/...", to) {
			continue
		}
		if matchesAny(where, from) {
			return ""
		}
		return "only for " + strings.Join(where, ", ")
	}
	return "no room has this library"
}

// roomOf returns the room with the longest path that fits a package.
func roomOf(path string) (room, bool) {
	fits := slices.DeleteFunc(slices.Clone(rooms), func(r room) bool { return !matches(r.path, path) })
	if len(fits) == 0 {
		return room{}, false
	}
	return slices.MaxFunc(fits, func(a, b room) int { return len(trim(a.path)) - len(trim(b.path)) }), true
}

// matches reports whether a path is the one that pattern names, or below it
// when pattern ends in "/...".
func matches(pattern, path string) bool {
	if pattern == "..." || path == trim(pattern) {
		return true
	}
	root, below := strings.CutSuffix(pattern, "/...")
	return below && strings.HasPrefix(path, root+"/")
}

func matchesAny(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, path) })
}

func trim(pattern string) string { return strings.TrimSuffix(pattern, "/...") }

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// standard reports whether an import path is one of the standard library,
// whose paths have no dot in their first element.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !ours(path) && !strings.Contains(first, ".")
}

func relative(path string) string { return strings.TrimPrefix(path, module+"/") }

// importGraph reads the imports of every package of the module.
func importGraph(t *testing.T) []pkg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	list := exec.CommandContext(ctx, "go", "list", "-json=ImportPath,Imports,TestImports,XTestImports", module+"/...")
	var stdout, stderr bytes.Buffer
	list.Stdout, list.Stderr = &stdout, &stderr
	if err := list.Run(); err != nil {
		t.Fatalf("list packages: %v\n%s", err, stderr.Bytes())
	}
	var graph []pkg
	for dec := json.NewDecoder(&stdout); ; {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return graph
		case err != nil:
			t.Fatalf("decode packages: %v", err)
		}
		graph = append(graph, p)
	}
}
