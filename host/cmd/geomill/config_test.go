package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"geomill/host"

	"github.com/alecthomas/kong"
)

// configured returns the configuration of geomill serve with arguments.
func configured(t *testing.T, args ...string) (host.Config, error) {
	t.Helper()
	var c cli
	parser, err := kong.New(&c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(append([]string{"serve"}, args...)); err != nil {
		t.Fatal(err)
	}
	return c.Serve.load()
}

// file writes a configuration file.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "geomill.yaml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFlagStandsOverEnvironmentOverFileOverDefault(t *testing.T) {
	f := file(t, "listen: 127.0.0.1:1\nplugins: /file\ndata: /file\ndrain: 3s\n")
	t.Setenv("GEOMILL_CONFIG", f)
	t.Setenv("GEOMILL_PLUGINS", "/environment")
	t.Setenv("GEOMILL_DATA", "/environment")
	c, err := configured(t, "--data", "/flag")
	if err != nil {
		t.Fatal(err)
	}
	want := host.Default()
	want.Listen, want.Drain = "127.0.0.1:1", 3*time.Second
	want.Plugins, want.Data = "/environment", "/flag"
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// every is a value for each key, other than its default.
var every = map[string]string{
	"listen": "127.0.0.1:7", "plugins": "/p", "data": "/d", "base-url": "https://example.org/mill", "log-format": "json", "log-level": "debug",
	"max-body": "77", "slots": "7", "queue-limit": "7", "sync-slots": "7", "record-sync": "true", "timeout": "7s", "max-timeout": "7s", "show-stderr": "false", "grace": "7s", "drain": "7s",
	"plugin-env": "A=b", "compat": "cite10", "sandbox": "off", "plugin-uids": "70000-70009",
	"trusted-proxies": "10.0.0.0/8", "cors-origins": "https://page.example", "kvp-execute": "true", "forget-removed": "true",
	"reference-schemes": "https", "reference-allow": "*.example.org", "reference-deny": "10.0.0.0/8", "reference-private": "true",
	"reference-max-bytes": "77", "reference-timeout": "7s",
	"callback-tries": "7", "max-listeners": "7", "tombstone": "7s", "log-max-bytes": "77777",
	"retain-age": "7h", "retain-count": "7", "retain-bytes": "7", "disk-quota": "7", "min-free": "7",
	"queue-limit-per-caller": "7", "queue-timeout": "7s", "caller-header": "X-Caller",
	"trust": "tofu", "trust-keys": "RWR25mriwA2XhDhlRk/nr90EXnH8Nph1zPXkCF60FvlIAAD83I1xkYek",
}

// lists are the keys with a list of values.
var lists = []string{"plugin-env", "compat", "trusted-proxies", "cors-origins", "reference-schemes", "reference-allow", "reference-deny", "trust-keys"}

// fileOnly are the fields of the configuration that no flag sets.
var fileOnly = []string{"Title", "Description", "CallbackSecret", "PluginConfig", "Processes", "Program"}

func TestEveryKeyIsAFlagAVariableAndAKeyOfTheFile(t *testing.T) {
	var text strings.Builder
	var flags []string
	for key, value := range every {
		flags = append(flags, "--"+key+"="+value)
		if slices.Contains(lists, key) {
			value = `["` + value + `"]`
		}
		fmt.Fprintf(&text, "%s: %s\n", key, value)
	}
	byFlag, err := configured(t, flags...)
	if err != nil {
		t.Fatal(err)
	}
	byFile, err := configured(t, "--config", file(t, text.String()))
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range every {
		t.Setenv("GEOMILL_"+strings.ToUpper(strings.ReplaceAll(key, "-", "_")), value)
	}
	byEnvironment, err := configured(t)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(byFlag, byFile) || !reflect.DeepEqual(byFlag, byEnvironment) {
		t.Errorf("flags       %+v\nfile        %+v\nenvironment %+v", byFlag, byFile, byEnvironment)
	}
	got, standard := reflect.ValueOf(byFlag), reflect.ValueOf(host.Default())
	for i := range got.NumField() {
		f := got.Type().Field(i)
		if !slices.Contains(fileOnly, f.Name) && reflect.DeepEqual(got.Field(i).Interface(), standard.Field(i).Interface()) {
			t.Errorf("%s keeps its default", f.Name)
		}
	}
}

func TestTheCallbackSecretIsNotAFlagAndNotShown(t *testing.T) {
	const inFile, inVariable = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "whsec_BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"
	name := file(t, "callback-secret: "+inFile+"\n")
	c, err := configured(t, "--config", name)
	if err != nil || string(c.CallbackSecret) != inFile || strings.Contains(fmt.Sprintf("%v %+v", c, c), inFile) {
		t.Errorf("from the file: %+v, %v", c, err)
	}
	t.Setenv("GEOMILL_CALLBACK_SECRET", inVariable)
	if c, err = configured(t, "--config", name); err != nil || string(c.CallbackSecret) != inVariable {
		t.Errorf("from the environment: %+v, %v", c, err)
	}
	if code := run([]string{"serve", "--callback-secret", inVariable}, io.Discard, io.Discard); code != 2 {
		t.Errorf("as a flag: exit code %d", code)
	}
	t.Setenv("GEOMILL_CALLBACK_SECRET", "hunter2")
	if _, err := configured(t); err == nil || !strings.Contains(err.Error(), "callback-secret: is not 24 to 64 bytes in base64") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a wrong secret: %v", err)
	}
}

func TestConfigurationFileIsReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		"listen: 127.0.0.1:0\nlisen: 1\n": `[2:1] unknown field "lisen"`,
		"listen: [\n":                     "[1:",
		"\n\nslots: many\n":               "[3:",
		"slots: 1\nslots: 2\n":            "[2:1]",
		"drain: 5\n":                      "[1:",
		"- listen\n":                      "[1:",
		"log-level: loud\nlog-format: xml\nmax-body: 0\n": "log-format",
	} {
		_, err := configured(t, "--config", file(t, text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	for _, text := range []string{"", "# nothing\n", "---\n"} {
		if c, err := configured(t, "--config", file(t, text)); err != nil || !reflect.DeepEqual(c, host.Default()) {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

// TestWhatCannotStartSaysWhyInOneLine runs serve where it must end at once.
func TestWhatCannotStartSaysWhyInOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	aFile := file(t, "unknown: 1\nlisten: 127.0.0.1:0\n")
	for name, row := range map[string]struct {
		args []string
		code int
		want []string
	}{
		"port taken":          {[]string{"--listen", taken.Addr().String()}, 1, []string{"listen", "in use"}},
		"no address":          {[]string{"--listen", "nowhere"}, 1, []string{`listen: "nowhere"`}},
		"no such address":     {[]string{"--listen", "192.0.2.1:5000"}, 1, []string{"listen"}},
		"plugins is a file":   {[]string{"--plugins", aFile}, 1, []string{"plugins", "not a directory"}},
		"data is a file":      {[]string{"--data", aFile}, 1, []string{"data directory", "not a directory"}},
		"data within a file":  {[]string{"--data", aFile + "/data"}, 1, []string{"data directory"}},
		"no file":             {[]string{"--config", aFile + ".none"}, 1, []string{"read configuration", "no such file"}},
		"file is a directory": {[]string{"--config", t.TempDir()}, 1, []string{"read configuration", "is a directory"}},
		"unknown key":         {[]string{"--config", aFile}, 1, []string{`[1:1] unknown field "unknown"`}},
		"reserved variable":   {[]string{"--plugin-env", "GEOMILL_X=1"}, 1, []string{"GEOMILL_X"}},
		"all faults":          {[]string{"--drain=-1s", "--slots=-1", "--compat=x", "--queue-limit=0"}, 1, []string{"drain", "slots", "compat", "queue-limit"}},
		"wrong proxy":         {[]string{"--trusted-proxies=10.0.0.0/33"}, 1, []string{"trusted-proxies", "10.0.0.0/33"}},
		"wrong origin":        {[]string{"--cors-origins=page.example"}, 1, []string{"cors-origins", "page.example"}},
		"unknown flag":        {[]string{"--lisen", "x"}, 2, []string{"--lisen", "--help"}},
		"not a number":        {[]string{"--slots", "x"}, 2, []string{"--slots", "--help"}},
		"not a duration":      {[]string{"--drain", "5"}, 2, []string{"--drain", "--help"}},
	} {
		t.Run(name, func(t *testing.T) {
			var out, errs bytes.Buffer
			dir := t.TempDir()
			args := append([]string{"serve", "--listen=127.0.0.1:0", "--plugins=" + dir, "--data=" + dir + "/data", "--log-level=error"}, row.args...)
			ended := make(chan int, 1)
			go func() { ended <- run(args, &out, &errs) }()
			var code int
			select {
			case code = <-ended:
			case <-time.After(patience):
				t.Fatal("it starts")
			}
			if code != row.code || out.Len() > 0 || strings.Count(errs.String(), "\n") != 1 || !strings.HasPrefix(errs.String(), "geomill: ") {
				t.Errorf("exit code %d, %q, %q; want %d and one line", code, out.String(), errs.String(), row.code)
			}
			for _, w := range row.want {
				if !strings.Contains(errs.String(), w) {
					t.Errorf("%q does not say %q", errs.String(), w)
				}
			}
		})
	}
}

func TestEverySubcommandHasHelpWithAnExample(t *testing.T) {
	var c cli
	parser, err := kong.New(&c, kong.Name("geomill"))
	if err != nil {
		t.Fatal(err)
	}
	commands := parser.Model.Children
	for len(commands) > 0 {
		command := commands[0]
		commands = append(commands[1:], command.Children...)
		var out, errs bytes.Buffer
		args := strings.Fields(command.FullPath())[1:]
		if code := run(append(args, "--help"), &out, &errs); code != 0 || !strings.Contains(out.String(), "Example: geomill "+strings.Join(args, " ")) {
			t.Errorf("geomill %s --help: exit code %d\n%s%s", args, code, out.String(), errs.String())
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"--help"}, &out, &errs); code != 0 || !strings.Contains(out.String(), "serve") {
		t.Errorf("geomill --help: exit code %d\n%s", code, out.String())
	}
	if code := run(nil, &out, &errs); code != 2 {
		t.Errorf("geomill without a command: exit code %d", code)
	}
	if code := run([]string{"version"}, &out, &errs); code != 0 {
		t.Errorf("geomill version: exit code %d", code)
	}
}

func TestSettingsOfAPluginAreAnyYAML(t *testing.T) {
	f := file(t, `
plugin-config:
  raster:
    settings:
      zoom: 7
      big: 9007199254740993
      ratio: 0.5
      on: true
      nothing: null
      date: 2026-11-23
      list: [1, {a: b}]
      key: {from-file: /etc/key}
`)
	c, err := configured(t, "--config", f)
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.Marshal(c.PluginConfig["raster"].Settings)
	want := `{"big":9007199254740993,"date":"2026-11-23","key":{"from-file":"/etc/key"},"list":[1,{"a":"b"}],"nothing":null,"on":true,"ratio":0.5,"zoom":7}`
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
}
