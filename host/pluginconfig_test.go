package host

import (
	"math"
	"strings"
	"testing"

	"geomill/host/internal/job"
)

func TestTheOperatorDecidesOverAPluginAndAboveItOverItsProcesses(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{AllPlugins: {Isolation: new(job.Exclusive)}, "raster": {Isolation: new(job.PerJob)}}
	if o := c.options("vector"); o.Isolation != job.Exclusive {
		t.Errorf("a plugin without settings of its own: %+v", o)
	}
	if o := c.options("raster"); o.Isolation != job.PerJob {
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
	c.PluginConfig = map[string]PluginConfig{"raster": {Isolation: new(job.Isolation("own"))}}
	want := `plugin-config.raster.isolation: "own" is not shared, exclusive or job`
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
}

func TestSettingsAreOfOnePlugin(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{"raster": {Settings: map[string]any{"zoom": 7, "key": map[string]any{"from-env": "KEY"}}}, "vector": {}}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := string(c.options("raster").Settings); got != `{"key":{"from-env":"KEY"},"zoom":7}` {
		t.Errorf("settings %s", got)
	}
	if got := c.options("vector").Settings; got != nil {
		t.Errorf("settings of another: %s", got)
	}
	c.PluginConfig[AllPlugins] = PluginConfig{Settings: map[string]any{}}
	c.PluginConfig["raster"] = PluginConfig{Settings: map[string]any{"zoom": math.Inf(1)}}
	err := c.Validate()
	for _, want := range []string{"plugin-config.*.settings: must be below the name of one plugin", "plugin-config.raster.settings: are not JSON: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
