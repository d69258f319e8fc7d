package host

import (
	"math"
	"slices"
	"strings"
	"testing"

	"geomill/host/internal/job"
	"geomill/host/internal/plugin/sandbox"
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
	c.PluginConfig["raster"] = PluginConfig{Trust: new(TrustPolicy("pinned"))}
	c.Trust = "tofu"
	if a, b := c.options("raster"), c.options("vector"); a.Trust != "pinned" || b.Trust != "tofu" {
		t.Errorf("trust: %+v, %+v", a, b)
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

func TestWhatIsWrongWithTrustIsNamed(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]func(*Config){
		`trust: "blind" is not any, tofu, pinned or signed`:                 func(c *Config) { c.Trust = "blind" },
		"trust-keys: must name a key":                                       func(c *Config) { c.Trust = "signed" },
		`trust-keys: "/nowhere/keys" is neither a public key`:               func(c *Config) { c.TrustKeys = []string{"/nowhere/keys"} },
		`plugin-config.raster.trust: "" is not any, tofu, pinned or signed`: func(c *Config) { c.PluginConfig = map[string]PluginConfig{"raster": {Trust: new(TrustPolicy(""))}} },
		"trust-keys: must name a key, since trust is signed": func(c *Config) {
			c.PluginConfig = map[string]PluginConfig{"raster": {Trust: new(TrustPolicy("signed"))}}
		},
	} {
		config := Default()
		c(&config)
		if err := config.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestTheRightsOfAPluginAreTheOperatorsToGive(t *testing.T) {
	t.Parallel()
	c := Default()
	if o := c.options("raster"); o.Sandbox != sandbox.On || o.Network || o.Read != nil || o.Write != nil {
		t.Errorf("by default: %+v", o)
	}
	c.Sandbox = "strict"
	c.PluginConfig = map[string]PluginConfig{
		AllPlugins: {Network: new(true)},
		"raster":   {Sandbox: new("off"), Network: new(false), Read: &[]string{"/srv/dem"}, Write: &[]string{"/srv/cache"}},
	}
	if o := c.options("vector"); o.Sandbox != sandbox.Strict || !o.Network {
		t.Errorf("a plugin without settings of its own: %+v", o)
	}
	if o := c.options("raster"); o.Sandbox != sandbox.Off || o.Network || o.Read[0] != "/srv/dem" || o.Write[0] != "/srv/cache" {
		t.Errorf("one that has some: %+v", o)
	}
	c.PluginConfig["raster"] = PluginConfig{Sandbox: new("loose"), Read: &[]string{"dem", "/proc/self/status"}, Write: &[]string{"./cache"}}
	c.Sandbox = "tight"
	err := c.Validate()
	for _, want := range []string{
		`sandbox: "tight" is not on, off or strict`, `plugin-config.raster.sandbox: "loose" is not on, off or strict`,
		`plugin-config.raster.read: "dem" is not an absolute path`, `plugin-config.raster.write: "./cache" is not an absolute path`,
		"plugin-config.raster.read: /proc/self/status is the server's own: list /proc for a plugin that looks at itself",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v lacks %s", err, want)
		}
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

func TestANameThatNoPluginHasIsNoticed(t *testing.T) {
	t.Parallel()
	c := Config{PluginConfig: map[string]PluginConfig{AllPlugins: {}, "raster": {}, "rastr": {}, "buffet": {}}}
	if got := c.strangers([]PluginStatus{{File: "raster"}, {File: "buffer"}}); !slices.Equal(got, []string{"buffet", "rastr"}) {
		t.Errorf("%q", got)
	}
}

func TestTheNamesNearOneThatNoPluginHasAreListed(t *testing.T) {
	t.Parallel()
	found := func(names ...string) (list []PluginStatus) {
		for _, n := range names {
			list = append(list, PluginStatus{File: n})
		}
		return list
	}
	many := found("n", "m", "l", "k", "j", "i", "h", "g", "f", "e", "d", "c", "b", "a")
	for _, tt := range []struct {
		name  string
		found []PluginStatus
		want  string
	}{
		{"rastr", nil, "none"},
		{"rastr", found("raster", "buffer"), "buffer, raster"},
		{"x", many[:10], "e, f, g, h, i, j, k, l, m, n"},
		{"A", many, "a, b, c, d, e, f, g, h, i, j (10 of 14)"},
		{"gg", many, "c, d, e, f, g, h, i, j, k, l (10 of 14)"},
		{"x", many, "e, f, g, h, i, j, k, l, m, n (10 of 14)"},
	} {
		if got := neighbours(tt.name, tt.found); got != tt.want {
			t.Errorf("%s among %d: %s, want %s", tt.name, len(tt.found), got, tt.want)
		}
	}
}
