package plugin

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"geomill/host/internal/job"
)

const secret = "open-sesame-29"

// vault is where the tests keep the secret of a plugin.
func vault(t testing.TB, text string) string {
	t.Helper()
	dir, err := os.MkdirTemp(scratch, "v")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "key")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// configured is a configuration in which every plugin is told these settings.
func configured(t testing.TB, raw string) Config {
	t.Helper()
	cfg := quick(t)
	cfg.Options = func(string) Options { return Options{Settings: json.RawMessage(raw)} }
	return cfg
}

func TestAPluginIsToldItsSettings(t *testing.T) {
	t.Parallel()
	path := vault(t, secret)
	cfg := configured(t, `{"key":{"from-file":"`+path+`"},"zoom":7}`)
	install(t, cfg.Dir, "set", "")
	b := serve(t, cfg)
	for range 2 { // described by the plugin, and then from the cache
		a, err := b.run(t.Context(), "told")
		if err != nil {
			t.Fatalf("%v; %+v", err, b.status("set"))
		}
		if got := string(a.raw["out"].JSON); got != `{"key":"`+secret+`","mode":"plain","zoom":7}` {
			t.Errorf("told %s", got)
		}
		s := b.status("set")
		if got := string(s.Settings); got != `{"key":"*** (file `+path+`)","mode":"plain","zoom":7}` || !strings.Contains(string(s.SettingsSchema), "writeOnly") {
			t.Errorf("shown %s of %s", got, s.SettingsSchema)
		}
		b.stop()
		b = serve(t, cfg)
	}
}

func TestWrongSettingsKeepAPluginFromBeingServed(t *testing.T) {
	t.Parallel()
	path := vault(t, secret)
	key := `"key":{"from-file":"` + path + `"}`
	for _, c := range []struct{ plugin, settings, want string }{
		{"set", ``, "settings: /key is required (at plugin-config.set.settings)"},
		{"set", `{` + key + `,"zoom":21,"more":1}`, "settings: /more is not a known member; /zoom must be at most 20 (at plugin-config.set.settings)"},
		{"set", `{"key":"` + secret + `"}`, "settings: /key is a secret: instead of its value, write {from-file: PATH} or {from-env: NAME}"},
		{"set", `{"key":{"from-file":"` + path + `x"}}`, "settings: /key is to come from the file " + path + "x, which does not exist"},
		{"set", `{` + key + `,"mode":"refuse"}`, "refuses its settings: /key does not open: *** (at plugin-config.set.settings)"},
		{"set", `{` + key + `,"mode":"crash"}`, "configure: panic: cannot use ***"},
		{"solo", `{"a":1}`, "settings: the plugin takes no settings: remove them (at plugin-config.solo.settings)"},
	} {
		cfg := configured(t, c.settings)
		install(t, cfg.Dir, c.plugin, "")
		b := serve(t, cfg)
		if s := b.status(c.plugin); s.State != StateRefused || !strings.Contains(s.Reason, c.want) {
			t.Errorf("%s: %s %q, want %q", c.settings, s.State, s.Reason, c.want)
		}
		b.stop()
		noSecret(t, cfg, b.logs.String())
	}
}

// What was cached is not served with settings that are wrong by now.
func TestSettingsAreCheckedThoughThePluginIsKnown(t *testing.T) {
	t.Parallel()
	path := vault(t, secret)
	cfg := configured(t, `{"key":{"from-file":"`+path+`"}}`)
	install(t, cfg.Dir, "set", "")
	b := serve(t, cfg)
	if s := b.status("set"); s.State != StateIdle {
		t.Fatalf("%+v", s)
	}
	b.stop()
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	b = serve(t, cfg)
	if s := b.status("set"); s.State != StateRefused || !strings.Contains(s.Reason, "can be read by everyone: chmod o-r "+path) {
		t.Errorf("%+v", s)
	}
	if strings.Contains(b.logs.String(), "configured with") {
		t.Error("the plugin was started")
	}
}

func TestASecretThatChangesMakesOtherOptions(t *testing.T) {
	t.Parallel()
	path := vault(t, secret)
	cfg := configured(t, `{"key":{"from-file":"`+path+`"}}`)
	cfg.LookupEnv = os.LookupEnv
	settle := func() Options {
		o, err := cfg.settle("set", json.RawMessage(`{"type":"object","properties":{"key":{"writeOnly":true}}}`), cfg.optionsOf("set"))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	before := settle()
	if o := settle(); !o.Equal(before) || !before.Equal(o) {
		t.Error("the same secret")
	}
	if err := os.WriteFile(path, []byte("open-barley"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := settle()
	if after.Equal(before) || !after.Equal(cfg.optionsOf("set")) {
		t.Error("another secret")
	}
	if (Options{Isolation: job.Shared}).Equal(Options{}) || (Options{Settings: json.RawMessage(`{}`)}).Equal(Options{}) {
		t.Error("other options")
	}
}

// jobSink keeps all that a job's record would get.
type jobSink struct {
	job.Events // nil: nothing else is called

	mu   sync.Mutex
	text strings.Builder
}

func (s *jobSink) add(args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(&s.text, args...)
}

func (s *jobSink) Progress(percent float64, message string) { s.add(percent, message) }

func (s *jobSink) Log(level slog.Level, message string, fields json.RawMessage) {
	s.add(level, message, string(fields))
}

func (s *jobSink) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestASecretIsInNothingThatIsShownOrKept(t *testing.T) {
	t.Parallel()
	cfg := configured(t, `{"key":{"from-file":"`+vault(t, secret)+`"}}`)
	install(t, cfg.Dir, "set", "")
	b := serve(t, cfg)
	for _, id := range []string{"tell", "tell-exit", "tell-break"} {
		p, err := b.host.Process(id)
		if err != nil {
			t.Fatalf("%v: %+v", err, b.status("set"))
		}
		sink := &jobSink{}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err = b.host.Execute(ctx, job.Attempt{JobID: newID(), Number: 1, Process: p, Dir: filepath.Join(b.dir, "..", "job"), Grace: time.Second,
			Console: func(stream string, level slog.Level, line string, fields json.RawMessage) {
				sink.add(stream, level, line, string(fields))
			}}, sink)
		cancel()
		if err == nil {
			t.Errorf("%s succeeded", id)
		}
		record, jsonErr := json.Marshal(map[string]any{"error": err, "process": p, "status": b.host.Plugins()})
		if jsonErr != nil {
			t.Fatal(jsonErr)
		}
		told := sink.String()
		if id != "tell-exit" && (!strings.Contains(told, "using ***") || !strings.Contains(told, `login with *** {"key":"***"}`)) {
			t.Errorf("%s told nothing: %s", id, told)
		}
		noSecret(t, cfg, fmt.Sprintf("%v %+v %s %s", err, err, record, told))
	}
	b.stop()
	if !strings.Contains(b.logs.String(), "configured with ***") || !strings.Contains(b.logs.String(), "panic: refused ***") {
		t.Error("the plugin's own lines are not logged")
	}
	noSecret(t, cfg, b.logs.String())
	if text, err := os.ReadFile(filepath.Join(cfg.CacheDir, cacheFile)); err != nil || !strings.Contains(string(text), "writeOnly") {
		t.Errorf("the schema is not cached: %v", err)
	}
}

// noSecret fails the test if the secret is in a text, or in a file of the host.
func noSecret(t *testing.T, cfg Config, text string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("the secret is shown: %s", text)
	}
	base := filepath.Dir(cfg.Dir)
	err := filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		if content, err := os.ReadFile(path); err == nil && strings.Contains(string(content), secret) {
			t.Errorf("the secret is in %s", path)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSecretsReachAPluginByItsSocketAlone(t *testing.T) {
	t.Parallel()
	cfg := configured(t, `{"key":{"from-env":"THE_KEY"}}`)
	cfg.LookupEnv = func(name string) (string, bool) { return secret, name == "THE_KEY" }
	install(t, cfg.Dir, "set", "")
	b := serve(t, cfg)
	if _, err := b.run(t.Context(), "told"); err != nil {
		t.Fatal(err)
	}
	s := b.status("set")
	if len(s.Instances) != 1 {
		t.Fatalf("%+v", s)
	}
	for _, name := range []string{"environ", "cmdline"} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.Instances[0].PID, name))
		if err != nil || len(text) == 0 || strings.Contains(string(text), secret) || strings.Contains(string(text), "THE_KEY") {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}
