package host_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"geomill/host"

	"github.com/klauspost/compress/zstd"
)

const (
	keyed     = "/processes/keyed/execution"
	keyedText = "open-sesame-29"
)

// startKeyed is startServer with the plugin that has to be told a secret, which
// is kept in the file key beside the directory of plugins.
func startKeyed(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	at := filepath.Join(dir, "plugins", "keyed")
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
		binary := filepath.Join(dir, "keyed")
		if out, err := exec.Command("go", "build", "-o", binary, "./testdata/keyed").CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
		place(t, binary, at)
	}
	config := filepath.Join(dir, "geomill.yaml")
	text := "plugin-config:\n  keyed:\n    settings:\n      key: {from-file: " + filepath.Join(dir, "key") + "}\n      greeting: Salve\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return startServer(t, dir, nil, append([]string{"--config", config, "--log-level", "debug"}, args...)...)
}

func writeKey(t *testing.T, dir, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASecretOfAPluginShowsNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKey(t, dir, keyedText)
	s := startKeyed(t, dir)
	c := newWeb(t, s.url)
	if r := c.must(t, 200, "POST", keyed, `{"inputs":{"how":"well"}}`); !strings.Contains(string(r.body), `14`) || !strings.Contains(string(r.body), "Salve") {
		t.Errorf("the plugin was not told its settings: %v", r)
	}
	var seen bytes.Buffer
	look := func(path, accept string) {
		r, err := c.send("GET", path, "", "Accept", accept)
		if err != nil {
			t.Fatal(err)
		}
		seen.Write(r.body)
	}
	for _, how := range []string{"badly", "crash"} {
		path := c.submit(t, "keyed", `{"how":"`+how+`"}`)
		if end := c.await(t, path, "failed", "successful"); end.Status != "failed" {
			t.Errorf("%s: %+v", how, end)
		}
		for _, accept := range []string{"application/json", "text/html"} {
			look(path, accept)
			look(path+"/results", accept)
			look(path+"/logs", accept)
		}
		if r := c.must(t, 500, "POST", keyed, `{"inputs":{"how":"`+how+`"}}`); !strings.Contains(string(r.body), "***") {
			t.Errorf("%s: the failure does not say where the key was: %v", how, r)
		} else {
			seen.Write(r.body)
		}
	}
	for _, path := range []string{"/processes", "/processes/keyed", "/api", "/jobs"} {
		look(path, "application/json")
	}
	if !strings.Contains(seen.String(), "logs ***") || !strings.Contains(seen.String(), "catalogue.example/?key=***") {
		t.Error("the log of the job was not looked at")
	}
	if _, err := host.Backup(t.Context(), s.data(), &seen, host.NewLogger(host.Default(), io.Discard)); err != nil {
		t.Fatal(err)
	}
	unpacked := unpack(t, &seen)
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for where, text := range map[string]string{"log of the server": s.log.String(), "answers": seen.String(), "backup": unpacked} {
		if i := strings.Index(text, keyedText); i >= 0 {
			t.Errorf("the secret is in the %s: ...%.200s", where, text[max(0, i-100):])
		}
	}
	noFileHolds(t, s.data(), keyedText)
}

// unpack returns what follows the first frame of zstd in b, decompressed.
func unpack(t *testing.T, b *bytes.Buffer) string {
	t.Helper()
	i := bytes.Index(b.Bytes(), []byte{0x28, 0xb5, 0x2f, 0xfd})
	r, err := zstd.NewReader(bytes.NewReader(b.Bytes()[max(0, i):]))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil || len(text) == 0 {
		t.Fatalf("the backup cannot be read: %v", err)
	}
	return string(text)
}

// noFileHolds fails the test if a file below dir has a text in it.
func noFileHolds(t *testing.T, dir, text string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(text)) {
			t.Errorf("the secret is in %s", path)
		}
		files++
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestAPluginWithoutItsSecretIsRefusedAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := startKeyed(t, dir)
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "settings: /key is to come from the file "+filepath.Join(dir, "key")+", which does not exist (at plugin-config.keyed.settings)") {
			return errors.New("the reason is not logged")
		}
		return nil
	})
	newWeb(t, s.url).must(t, 404, "GET", "/processes/keyed", "")
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	writeKey(t, dir, "retired-sesame")
	s = startKeyed(t, dir)
	eventually(t, func() error {
		if !strings.Contains(s.log.String(), "refuses its settings: /key is no longer in use: *** (at plugin-config.keyed.settings)") {
			return errors.New("the reason is not logged")
		}
		return nil
	})
	if strings.Contains(s.log.String(), "retired") {
		t.Error("the secret is in the log")
	}
}

// TestChangedSettingsReloadAPluginUnderLoad changes settings, and the secret in its
// file, while clients call the plugin; wrong ones change nothing.
func TestChangedSettingsReloadAPluginUnderLoad(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeKey(t, dir, keyedText)
	s := startKeyed(t, dir)
	c := newWeb(t, s.url)
	const well = `{"inputs":{"how":"well"}}`
	c.must(t, 200, "POST", keyed, well)
	stop, done := make(chan struct{}), make(chan error, 1)
	go func() {
		other := newWeb(t, s.url)
		for {
			r, err := other.send("POST", keyed, well)
			if err == nil && r.StatusCode != 200 {
				err = errors.New(r.String())
			}
			select {
			case <-stop:
				done <- err
				return
			default:
			}
			if err != nil {
				done <- err
				return
			}
		}
	}()
	hangup := func() {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	answers := func(parts ...string) {
		t.Helper()
		eventually(t, func() error {
			r := c.must(t, 200, "POST", keyed, well)
			for _, part := range parts {
				if !strings.Contains(string(r.body), part) {
					return errors.New(r.String())
				}
			}
			return nil
		})
	}
	says := func(text string) {
		t.Helper()
		eventually(t, func() error {
			if !strings.Contains(s.log.String(), text) {
				return errors.New("the log does not say: " + text)
			}
			return nil
		})
	}
	answers(`"length":14`, `"greeting":"Salve"`)
	config := filepath.Join(dir, "geomill.yaml")
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := func(old, new string) {
		t.Helper()
		if err := os.WriteFile(config, bytes.Replace(text, []byte(old), []byte(new), 1), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rewrite("Salve", "Ave")
	hangup()
	answers(`"length":14`, `"greeting":"Ave"`)
	writeKey(t, dir, "open-barley")
	hangup()
	answers(`"length":11`, `"greeting":"Ave"`)
	writeKey(t, dir, "retired-sesame")
	hangup()
	says("refuses its settings: /key is no longer in use: ***")
	answers(`"length":11`)
	rewrite("greeting: Salve", "greetings: 1")
	hangup()
	says("settings: /greetings is not a known member (at plugin-config.keyed.settings)")
	answers(`"length":11`, `"greeting":"Ave"`)
	close(stop)
	if err := <-done; err != nil {
		t.Errorf("a request failed: %v", err)
	}
	if err := s.end(t, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	for _, secret := range []string{keyedText, "open-barley", "retired-sesame"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("%s is in the log", secret)
		}
		noFileHolds(t, s.data(), secret)
	}
}
