package host

import (
	"strings"
	"testing"

	"geomill/host/internal/job"
)

func TestTheOperatorDecidesOverAPluginAndAboveItOverItsProcesses(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{AllPlugins: {Isolation: new(job.Exclusive), Breaking: new(AllowBreaking)},
		"raster": {Isolation: new(job.PerJob), Breaking: new(RefuseBreaking)}}
	if o := c.options("vector"); o.Isolation != job.Exclusive || !o.AllowBreaking {
		t.Errorf("a plugin without settings of its own: %+v", o)
	}
	if o := c.options("raster"); o.Isolation != job.PerJob || o.AllowBreaking {
		t.Errorf("one that has some: %+v", o)
	}
	c.Processes = map[string]ProcessConfig{"clip": {Isolation: new(job.Shared)}}
	if p := c.policy("clip", job.Policy{Isolation: job.PerJob}); p.Isolation != job.Shared {
		t.Errorf("its process: %+v", p)
	}
}

func TestWhatIsWrongWithAPluginIsNamed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{"raster": {Isolation: new(job.Isolation("own")), Breaking: new(Breaking("perhaps"))}}
	for _, want := range []string{
		`plugin-config.raster.isolation: "own" is not shared, exclusive or job`,
		`plugin-config.raster.breaking: "perhaps" is not refuse or allow`,
	} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
