package host

import (
	"testing"
	"time"

	"geomill/host/internal/plugin"

	"github.com/google/go-cmp/cmp"
)

func TestTheOperatorDecidesOverThePoolsOfAPlugin(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{
		AllPlugins: {PoolConfig: PoolConfig{Warm: new(1), Idle: new(time.Minute), PoisonGrace: new(time.Second),
			Recycle: RecycleConfig{Jobs: new(10), Age: new(time.Hour)}}},
		"raster": {PoolConfig: PoolConfig{Warm: new(0), PoisonGrace: new(time.Duration), Recycle: RecycleConfig{Jobs: new(0), Memory: new(Bytes(1 << 30))}}},
	}
	for file, pools := range map[string]plugin.Options{
		"vector": {Warm: 1, Idle: time.Minute, PoisonGrace: time.Second, Recycle: plugin.Recycle{Jobs: 10, Age: time.Hour}},
		"raster": {Idle: time.Minute, PoisonGrace: -1, Recycle: plugin.Recycle{Age: time.Hour, Memory: 1 << 30}},
	} {
		want := Default().options(file)
		want.Warm, want.Idle, want.PoisonGrace, want.Recycle = pools.Warm, pools.Idle, pools.PoisonGrace, pools.Recycle
		if d := cmp.Diff(want, c.options(file)); d != "" {
			t.Errorf("%s: %s", file, d)
		}
	}
}

func TestWhatIsWrongWithAPoolIsNamed(t *testing.T) {
	t.Parallel()
	c := Default()
	c.PluginConfig = map[string]PluginConfig{"raster": {PoolConfig: PoolConfig{Warm: new(-1), Idle: new(time.Duration), PoisonGrace: new(-time.Second),
		Recycle: RecycleConfig{Jobs: new(-2), Age: new(time.Millisecond), Memory: new(Bytes(-3))}}}}
	want := `plugin-config.raster.warm: -1 is not a number from 0 to 1000
plugin-config.raster.idle: 0s is not a duration above zero
plugin-config.raster.poison-grace: -1s is negative
plugin-config.raster.recycle.jobs: -2 is negative
plugin-config.raster.recycle.age: 1ms is not 0 or a duration from 1s
plugin-config.raster.recycle.memory: -3 is negative`
	if err := c.Validate(); err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
	c.PluginConfig = map[string]PluginConfig{"raster": {PoolConfig: PoolConfig{Warm: new(3), Recycle: RecycleConfig{Age: new(time.Duration)}}}}
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
