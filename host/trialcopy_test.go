package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/host/internal/plugin"
)

func TestAPluginIsCopiedAsTheHostWouldFindIt(t *testing.T) {
	t.Parallel()
	const manifest = "processes: {}\n"
	for name, c := range map[string]struct {
		text string
		name string // it has then
		want string // of the refusal
	}{
		"tools.yaml":              {manifest, "tools.yaml", ""},
		"tools.yml":               {manifest, "tools.yml", ""},
		"tools/1.2.0/plugin.yaml": {manifest, "tools", ""},
		"tools/v2/tools.yml":      {manifest, "tools", ""},
		"tools/1.2.3.4/tools.yml": {manifest, "tools.yml", ""},
		"settings.yaml":           {"threads: 4\n", "", plugin.NoManifest},
		"settings.yml":            {"threads: 4\n", "", plugin.NoManifest},
	} {
		from, to := filepath.Join(t.TempDir(), name), t.TempDir()
		if err := os.MkdirAll(filepath.Dir(from), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(from, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := copyPlugin(from, to)
		if got != c.name || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
