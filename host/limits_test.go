package host_test

import (
	"os"
	"path/filepath"
	"testing"

	"geomill/host/internal/job"
	"geomill/sdk/ogc"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestClientsAreToldWhichLimitTheirJobExceeded has one job use too much processor
// time and one return too much; neither is run again.
func TestClientsAreToldWhichLimitTheirJobExceeded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	text := "plugin-config:\n  faulty: {isolation: exclusive, limits: {cpu: 1s}}\nprocesses:\n  undeterred: {limits: {output: 2B}}\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := startFaulty(t, dir, "--config", config)
	c := newWeb(t, s.url)
	spins, bulky := c.submit(t, "faulty", `{"how":"spin"}`), c.submit(t, "undeterred", `{"how":"not"}`)
	doc := promises(t, c)
	for path, want := range map[string]ogc.Exception{
		spins: {Detail: "the process used more processor time than its limit of 1s", Limit: "cpu", Maximum: 1},
		bulky: {Detail: "the outputs are larger than their limit of 2 bytes", Limit: "output", Maximum: 2},
	} {
		c.await(t, path, "failed")
		want.Type, want.Title, want.Status, want.Attempt = job.TypeLimitExceeded, "Limit exceeded", 500, 1
		if d := cmp.Diff(want, c.places(t, doc, path), cmpopts.IgnoreFields(ogc.Exception{}, "Instance")); d != "" {
			t.Error(d)
		}
	}
}
