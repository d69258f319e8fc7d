package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// fakePlugins is a struct of functions.
type fakePlugins struct {
	list    []Plugin
	inspect func(file string) (Plugin, error)
	logs    func(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error)
}

func (f fakePlugins) List() []Plugin                      { return f.list }
func (f fakePlugins) Inspect(file string) (Plugin, error) { return f.inspect(file) }

func (f fakePlugins) Logs(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error) {
	return f.logs(ctx, file, last, follow)
}

// manage runs a server that knows plugins, and returns a client of it.
func manage(t *testing.T, p fakePlugins) (c *Client, stop func()) {
	t.Helper()
	dir := t.TempDir()
	return NewClient(dir), serveWith(t, Config{Dir: dir, Backup: hello, Plugins: p, Logger: slog.New(slog.DiscardHandler)})
}

func TestPluginsAreListedAndInspected(t *testing.T) {
	t.Parallel()
	raster := Plugin{File: "raster", State: "ready", Since: time.Now().Round(0).UTC(), Processes: []Process{{ID: "ndvi", Version: "1"}},
		Instances: []Instance{{PID: 7, State: "ready", Jobs: 2}}}
	c, _ := manage(t, fakePlugins{list: []Plugin{raster}, inspect: func(file string) (Plugin, error) {
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

func TestAnOddRequestIsRefused(t *testing.T) {
	t.Parallel()
	c, _ := manage(t, fakePlugins{})
	for _, last := range []string{"", "-1", "1001", "x"} {
		if err := c.document(t.Context(), "/plugins/a/logs?last="+last, nil); err == nil || !strings.HasPrefix(err.Error(), "last: ") {
			t.Errorf("to last=%s: %v", last, err)
		}
	}
	if err := c.document(t.Context(), "/nothing", nil); err == nil || !strings.Contains(err.Error(), "another version") {
		t.Errorf("to a path that is none: %v", err)
	}
}

func TestALogIsFollowedLineByLine(t *testing.T) {
	t.Parallel()
	heard := make(chan struct{}, 1)
	left := make(chan struct{})
	c, _ := manage(t, fakePlugins{logs: func(ctx context.Context, file string, last int, follow bool) (iter.Seq[LogLine], error) {
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

func TestAStopCutsOffALog(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{})
	c, stop := manage(t, fakePlugins{logs: func(ctx context.Context, _ string, _ int, _ bool) (iter.Seq[LogLine], error) {
		return func(func(LogLine) bool) {
			close(begun)
			<-ctx.Done()
		}, nil
	}})
	ended := make(chan error, 1)
	go func() { ended <- c.Logs(context.Background(), "a", 0, true, func(LogLine) error { return nil }) }()
	<-begun
	stop()
	select {
	case err := <-ended:
		if err == nil || err.Error() != errStopping.Error() {
			t.Errorf("got %v", err)
		}
	case <-time.After(patience):
		t.Fatal("the client waits on")
	}
}

func TestOnlySoManyLogsAreReadAtOnce(t *testing.T) {
	t.Parallel()
	begun := make(chan struct{}, logReaders)
	c, stop := manage(t, fakePlugins{logs: func(ctx context.Context, _ string, _ int, _ bool) (iter.Seq[LogLine], error) {
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
