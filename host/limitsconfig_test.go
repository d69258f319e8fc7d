package host

import (
	"strings"
	"testing"
	"time"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const limitsFile = `
plugin-config:
  "*": {limits: {memory: 1GiB, processes: 64}}
  raster: {limits: {memory: 4294967296, cpu: 10m, files: 256, output: 1GB, directory: 10GiB}}
processes:
  clip: {limits: {memory: 2GiB, cpu: 0s, output: 5MB}}
`

func TestLimitsOfPluginsAndProcesses(t *testing.T) {
	t.Parallel()
	c := Default()
	if err := yaml.UnmarshalWithOptions([]byte(limitsFile), &c, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	limits := func(l plugin.Limits, o plugin.Options) {
		t.Helper()
		if d := cmp.Diff(l, o.Limits, cmpopts.IgnoreUnexported(plugin.Limits{})); d != "" {
			t.Error(d)
		}
	}
	limits(plugin.Limits{Files: defaultFiles}, Default().options("raster"))
	limits(plugin.Limits{Limits: job.Limits{Memory: 1 << 30}, Files: defaultFiles, Processes: 64}, c.options("vector"))
	raster := plugin.Limits{Limits: job.Limits{Memory: 4 << 30, CPU: 10 * time.Minute, Output: 1e9, Directory: 10 << 30}, Files: 256, Processes: 64}
	limits(raster, c.options("raster"))
	want := job.Limits{Memory: 2 << 30, Output: 5e6, Directory: 10 << 30}
	if d := cmp.Diff(want, c.policy("clip", job.Policy{Limits: raster.Limits}).Limits); d != "" {
		t.Error(d)
	}
}

func TestWhatIsWrongWithALimitIsNamed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{"raster": {Limits: PluginLimits{
		AttemptLimits: AttemptLimits{Memory: new(Bytes(1000)), CPU: new(time.Millisecond), Output: new(Bytes(-1))}, Files: new(3), Processes: new(-1),
	}}}
	c.Processes = map[string]ProcessConfig{"clip": {Limits: AttemptLimits{Directory: new(Bytes(-2))}}}
	err := c.Validate()
	if err == nil {
		t.Fatal("nothing is wrong")
	}
	for _, want := range []string{
		"plugin-config.raster.limits.memory: 1000 is not 0 or a number of bytes from 16777216",
		"plugin-config.raster.limits.cpu: 1ms is not 0 or a duration from 1s",
		"plugin-config.raster.limits.output: -1 is negative",
		"plugin-config.raster.limits.files: 3 is not 0 or a number from 32",
		"plugin-config.raster.limits.processes: -1 is negative",
		"processes.clip.limits.directory: -2 is negative",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if err := yaml.UnmarshalWithOptions([]byte("processes: {clip: {limits: {memory: much}}}"), &c); err == nil || !strings.Contains(err.Error(), `"much" is not a number of bytes`) {
		t.Errorf("%v", err)
	}
}
