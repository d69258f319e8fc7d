package admin

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// fakePlugins is a struct of functions.
type fakePlugins struct {
	list    []Plugin
	inspect func(file string) (Plugin, error)
	logs    func(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error)
	verify  func(ctx context.Context, file string) ([]Check, error)
	do      func(ctx context.Context, c Command) (Outcome, error)
}

func (f fakePlugins) List() []Plugin                      { return f.list }
func (f fakePlugins) Inspect(file string) (Plugin, error) { return f.inspect(file) }
func (f fakePlugins) Do(ctx context.Context, c Command) (Outcome, error) {
	return f.do(ctx, c)
}

func (f fakePlugins) Verify(ctx context.Context, file string) ([]Check, error) {
	return f.verify(ctx, file)
}

func (f fakePlugins) Logs(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error) {
	return f.logs(ctx, file, last, follow)
}

// manage runs a server that knows plugins, and returns a client of it, and what
// it has logged once stop was called.
func manage(t *testing.T, p fakePlugins) (c *Client, stop func(), log *bytes.Buffer) {
	t.Helper()
	dir := t.TempDir()
	log = &bytes.Buffer{}
	return NewClient(dir), serveWith(t, Config{Dir: dir, Backup: hello, Plugins: p, Logger: slog.New(slog.NewTextHandler(log, nil))}), log
}

func TestPluginsAreListedAndInspected(t *testing.T) {
	t.Parallel()
	raster := Plugin{File: "raster", State: "ready", Since: time.Now().Round(0).UTC(), Processes: []Process{{ID: "ndvi", Version: "1"}},
		Instances: []Instance{{PID: 7, State: "ready", Jobs: 2}}}
	c, _, _ := manage(t, fakePlugins{list: []Plugin{raster}, inspect: func(file string) (Plugin, error) {
		if file != "odd name/#?" {
			return Plugin{}, fmt.Errorf("there is no plugin %q", file)
		}
		return raster, nil
	}})
	list, err := c.Plugins(t.Context())
	if err != nil || len(list) != 1 || fmt.Sprint(list[0]) != fmt.Sprint(raster) {
		t.Errorf("got %+v, %v", list, err)
	}
	if p, err := c.Plugin(t.Context(), "odd name/#?"); err != nil || fmt.Sprint(p) != fmt.Sprint(raster) {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := c.Plugin(t.Context(), "other"); err == nil || err.Error() != `there is no plugin "other"` {
		t.Errorf("got %v", err)
	}
}

func TestACommandIsDoneAndItsSenderLogged(t *testing.T) {
	t.Parallel()
	c, stop, log := manage(t, fakePlugins{do: func(_ context.Context, c Command) (Outcome, error) {
		if c.Verb == "break" {
			return Outcome{}, errors.New("no luck")
		}
		return Outcome{Done: c.File + " is done"}, nil
	}})
	if done, err := c.Do(t.Context(), Command{Verb: "mend", File: "raster"}); err != nil || done.Done != "raster is done" {
		t.Errorf("got %+v, %v", done, err)
	}
	if _, err := c.Do(t.Context(), Command{Verb: "break", File: "raster"}); err == nil || err.Error() != "no luck" {
		t.Errorf("got %v", err)
	}
	stop()
	by := fmt.Sprintf("by_uid=%d by_pid=%d", os.Geteuid(), os.Getpid())
	text := log.String()
	if strings.Count(text, by) != 2 || !strings.Contains(text, "command=break") || !strings.Contains(text, `file=raster error="no luck"`) || !strings.Contains(text, "plugin=raster outcome=") {
		t.Errorf("the log has %s", text)
	}
}

func TestFilesAreVerified(t *testing.T) {
	t.Parallel()
	c, _, _ := manage(t, fakePlugins{verify: func(_ context.Context, file string) ([]Check, error) {
		if file == "a b&c" {
			return nil, errors.New("it cannot be read")
		}
		return []Check{{File: "x", OK: true}, {File: "y", Fault: "it differs"}}, nil
	}})
	list, err := c.Verify(t.Context(), "")
	if err != nil || len(list) != 2 || !list[0].OK || list[1].Fault != "it differs" {
		t.Errorf("got %+v, %v", list, err)
	}
	if _, err := c.Verify(t.Context(), "a b&c"); err == nil || err.Error() != "it cannot be read" {
		t.Errorf("got %v", err)
	}
}

func TestAPluginWithoutANameIsNotAskedFor(t *testing.T) {
	t.Parallel()
	c, _, _ := manage(t, fakePlugins{})
	_, err := c.Plugin(t.Context(), "")
	logs := c.Logs(t.Context(), "", 1, false, func(LogLine) error { return nil })
	for _, err := range []error{err, logs} {
		if err == nil || !strings.Contains(err.Error(), "geomill plugin list") {
			t.Errorf("got %v", err)
		}
	}
}

func TestAnOddRequestIsRefused(t *testing.T) {
	t.Parallel()
	c, _, _ := manage(t, fakePlugins{})
	for body, want := range map[string]string{
		`{"verb":"mend","power":1}`:                            "the server does not understand the command",
		`{"verb":"` + strings.Repeat("x", commandBytes) + `"}`: "the server does not understand the command",
		``: "the server does not understand the command",
	} {
		if err := c.document(t.Context(), http.MethodPost, commandsPath, []byte(body), nil); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("to %.30s: %v", body, err)
		}
	}
	for _, last := range []string{"", "-1", "1001", "x"} {
		if err := c.document(t.Context(), http.MethodGet, "/plugins/a/logs?last="+last, nil, nil); err == nil || !strings.HasPrefix(err.Error(), "last: ") {
			t.Errorf("to last=%s: %v", last, err)
		}
	}
	if err := c.document(t.Context(), http.MethodGet, "/nothing", nil, nil); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("to a path that is none: %v", err)
	}
}

func TestALogIsFollowedLineByLine(t *testing.T) {
	t.Parallel()
	heard := make(chan struct{}, 1)
	left := make(chan struct{})
	c, _, _ := manage(t, fakePlugins{logs: func(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error) {
		if file != "raster" || last != 5 || !follow {
			return nil, errors.New("something else was asked for")
		}
		return func(yield func(LogLine) bool) {
			defer close(left)
			for n := int64(1); yield(LogLine{Instance: n, Message: "hello"}); n++ {
				select { // the next comes when this one has arrived
				case <-heard:
				case <-ctx.Done():
					return
				}
			}
		}, nil
	}})
	enough := errors.New("enough")
	err := c.Logs(t.Context(), "raster", 5, true, func(l LogLine) error {
		if l.Instance == 3 {
			return enough
		}
		heard <- struct{}{}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	select {
	case <-left:
	case <-time.After(patience):
		t.Error("the server goes on although the client has left")
	}
}

func TestAStopCutsOffCommandsAndLogs(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, 2)
	c, stop, _ := manage(t, fakePlugins{
		do: func(ctx context.Context, _ Command) (Outcome, error) {
			begun <- struct{}{}
			<-ctx.Done()
			return Outcome{}, ctx.Err()
		},
		logs: func(ctx context.Context, _ string, _ int, _ bool) (iter.Seq[LogLine], error) {
			return func(func(LogLine) bool) {
				begun <- struct{}{}
				<-ctx.Done()
			}, nil
		},
	})
	ended := make(chan error, 2)
	go func() {
		_, err := c.Do(context.Background(), Command{})
		ended <- err
	}()
	go func() { ended <- c.Logs(context.Background(), "a", 0, true, func(LogLine) error { return nil }) }()
	for range 2 {
		<-begun
	}
	stop()
	for range 2 {
		select {
		case err := <-ended:
			if err == nil || err.Error() != errStopping.Error() {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Fatal("the client waits on")
		}
	}
}

func TestOnlySoManyLogsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, logReaders)
	c, stop, _ := manage(t, fakePlugins{logs: func(ctx context.Context, _ string, _ int, _ bool) (iter.Seq[LogLine], error) {
		return func(func(LogLine) bool) {
			begun <- struct{}{}
			<-ctx.Done()
		}, nil
	}})
	ended := make(chan error, logReaders)
	read := func() error {
		return c.Logs(context.Background(), "a", 0, true, func(LogLine) error { return nil })
	}
	for range logReaders {
		go func() { ended <- read() }()
	}
	for range logReaders {
		<-begun
	}
	if err := read(); err == nil || !strings.Contains(err.Error(), "are being read already") {
		t.Errorf("one more: %v", err)
	}
	stop()
	for range logReaders {
		<-ended
	}
}

func TestAServerThatKnowsNoPluginsSaysSo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	serve(t, dir, hello)
	if _, err := NewClient(dir).Plugins(t.Context()); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("got %v", err)
	}
	if _, err := NewClient(t.TempDir()).Plugins(t.Context()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("without a server: %v", err)
	}
}

// What listens there may be no server of ours.
func TestAnAnswerThatIsNoneIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var conn net.Conn
		if conn, err = l.Accept(); err == nil {
			_, _ = http.ReadRequest(bufio.NewReader(conn)) // an answer before it would be another fault
			_, _ = conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\nConnection: close\r\n\r\n[{]"))
			_ = conn.Close()
		}
	}()
	if _, err := NewClient(dir).Plugins(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "read the answer of the server: ") {
		t.Errorf("got %v", err)
	}
	_ = l.Close()
	<-done
}
