package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

type (
	pluginStream = grpc.BidiStreamingServer[processv1.SessionRequest, processv1.SessionResponse]
	message      = processv1.PluginMessage
)

// liar is a plugin end without manners.
type liar struct {
	processv1.UnimplementedProcessServiceServer
	session func(pluginStream) error
}

func (l *liar) Session(s pluginStream) error { return l.session(s) }

// lie is a session with a plugin that answers each start by what answer makes
// of it, and each cancel with cancelled if obeys.
func lie(tb testing.TB, obeys bool, answer func(id string) []*message) *wire.Session {
	tb.Helper()
	l := &liar{session: func(s pluginStream) error {
		for {
			frame, err := s.Recv()
			if err != nil {
				return err
			}
			for _, m := range frame.GetMessages() {
				var messages []*message
				if m.GetStart() != nil {
					messages = answer(m.GetJobId())
				} else if obeys {
					messages = []*message{{JobId: m.GetJobId(), Kind: &processv1.PluginMessage_Cancelled{Cancelled: &processv1.Cancelled{}}}}
				}
				for _, m := range messages {
					if err := s.Send(&processv1.SessionResponse{Messages: []*message{m}}); err != nil {
						return err
					}
				}
			}
		}
	}}
	return open(tb, serveWith(tb, func(s *grpc.Server) error {
		processv1.RegisterProcessServiceServer(s, l)
		return nil
	}))
}

func output(id string, seq uint64, name string, v *processv1.Value) *message {
	return &message{JobId: id, Seq: seq, Kind: &processv1.PluginMessage_Output{Output: named(name, v)}}
}

func named(id string, v *processv1.Value) *processv1.Value {
	w, _ := proto.Clone(v).(*processv1.Value)
	if w == nil {
		w = &processv1.Value{}
	}
	w.Id = id
	return w
}

func succeeded(id string, seq uint64) *message {
	return &message{JobId: id, Seq: seq, Kind: &processv1.PluginMessage_Succeeded{Succeeded: &processv1.Succeeded{}}}
}

func progressed(id string, seq uint64) *message {
	return &message{JobId: id, Seq: seq, Kind: &processv1.PluginMessage_Progress{Progress: &processv1.Progress{Percent: float64(seq)}}}
}

func jsonValue(s string) *processv1.Value {
	return &processv1.Value{Kind: &processv1.Value_Json{Json: []byte(s)}}
}

func fileValue(path string, size uint64) *processv1.Value {
	return &processv1.Value{Kind: &processv1.Value_File{File: &processv1.File{Path: path, Size: size}}}
}

func TestMessagesOutOfPlaceAreIgnored(t *testing.T) {
	t.Parallel()
	session := lie(t, true, func(id string) []*message {
		return []*message{
			progressed("someone else", 1),
			output(id, 5, "a", jsonValue("1")),
			output(id, 4, "b", jsonValue("2")),
			{JobId: id, Seq: 6}, // of a kind that is not known yet
			succeeded(id, 7),
			progressed(id, 8),
			succeeded(id, 9),
			{JobId: "last", Kind: &processv1.PluginMessage_Accepted{}},
		}
	})
	out, err := session.Run(t.Context(), wire.Start{JobID: "1"}, 0, discard{})
	if err != nil || len(out) != 1 || string(out.Get("a").JSON) != "1" {
		t.Errorf("got %v, %v", out, err)
	}
	eventually(t, "five messages are ignored", func() bool { return session.Ignored() == 5 })
}

func TestBrokenContractFailsTheJobAlone(t *testing.T) {
	t.Parallel()
	many := func(id string) (list []*message) {
		for i := range 1025 {
			list = append(list, output(id, uint64(i+1), strings.Repeat("x", i), jsonValue("1")))
		}
		return append(list, progressed(id, 5000))
	}
	much := func(id string) (list []*message) {
		for i := range 9 {
			list = append(list, output(id, uint64(i+1), "x", &processv1.Value{Kind: &processv1.Value_Data{Data: make([]byte, 8<<20)}}))
		}
		return list
	}
	one := func(v *processv1.Value) func(id string) []*message {
		return func(id string) []*message { return []*message{output(id, 1, "x", v)} }
	}
	tests := map[string]struct {
		answer func(id string) []*message
		detail string
	}{
		"too many outputs": {many, "more than 1024 outputs"},
		"too much inline":  {much, "67108864 bytes"},
		"not JSON":         {one(jsonValue("{]")), "not valid JSON"},
		"no value":         {one(nil), "no known kind"},
	}
	for name, test := range tests {
		for _, obeys := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				session := lie(t, obeys, test.answer)
				grace := patience
				if !obeys {
					grace = 0
				}
				out, err := session.Run(t.Context(), wire.Start{JobID: "1"}, grace, discard{})
				var broken *wire.ContractError
				var unresponsive *wire.UnresponsiveError
				if !errors.As(err, &broken) || !strings.Contains(broken.Detail, test.detail) || out != nil {
					t.Errorf("got %v, %v", out, err)
				}
				if errors.As(err, &unresponsive) == obeys {
					t.Errorf("got %v from a plugin that obeys: %v", err, obeys)
				}
				if session.Err() != nil {
					t.Errorf("the session ended: %v", session.Err())
				}
			})
		}
	}
}

func TestFilesOutsideTheJobDirectoryAreRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "job")
	secret := filepath.Join(filepath.Dir(dir), "secret")
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "out", "sub"), 0o700),
		os.WriteFile(secret, []byte("12345"), 0o600),
		os.WriteFile(filepath.Join(dir, "out", "good"), []byte("12345"), 0o600),
		os.WriteFile(filepath.Join(dir, "out", "sub", "good"), []byte("12345"), 0o600),
		os.Symlink(secret, filepath.Join(dir, "out", "symlink")),
		os.Symlink("good", filepath.Join(dir, "out", "inner")),
		os.Symlink("sub", filepath.Join(dir, "out", "linked")),
		os.Symlink("..", filepath.Join(dir, "out", "up")),
		os.Link(secret, filepath.Join(dir, "out", "hardlink")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		path   string
		size   uint64
		detail string // empty: accepted
	}{
		"good":              {"out/good", 5, ""},
		"deeper":            {"out/sub/good", 5, ""},
		"parent":            {"../secret", 5, "leads out"},
		"parent within":     {"out/../../secret", 5, "leads out"},
		"absolute":          {secret, 5, "leads out"},
		"not clean":         {"out//good", 5, "leads out"},
		"empty":             {"", 0, "leads out"},
		"symlink":           {"out/symlink", 5, "not a regular file"},
		"symlink within":    {"out/inner", 5, "not a regular file"},
		"symlinked parent":  {"out/up/out/good", 5, "not a directory"},
		"symlinked sibling": {"out/linked/good", 5, "not a directory"},
		"hard link":         {"out/hardlink", 5, "another name"},
		"directory":         {"out/sub", 0, "not a regular file"},
		"the job directory": {".", 0, "not a regular file"},
		"missing":           {"out/none", 0, "no such file"},
		"other size":        {"out/good", 4, "not 4 as announced"},
		"zero byte":         {"out/good\x00", 5, "invalid argument"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			session := lie(t, true, func(id string) []*message {
				return []*message{output(id, 1, "x", fileValue(test.path, test.size)), succeeded(id, 2)}
			})
			out, err := session.Run(t.Context(), wire.Start{JobID: "1", Dir: dir}, patience, discard{})
			var broken *wire.ContractError
			switch {
			case test.detail == "":
				if err != nil || out.Get("x").File != filepath.Join(dir, test.path) || out.Get("x").Size != 5 {
					t.Errorf("got %v, %v", out, err)
				}
			case !errors.As(err, &broken) || !strings.Contains(broken.Detail, test.detail):
				t.Errorf("got %v, %v", out, err)
			}
		})
	}
}

func TestAMissingJobDirectoryIsNotNamedToClients(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "job")
	session := lie(t, true, func(id string) []*message {
		return []*message{output(id, 1, "x", fileValue("out/x", 5)), succeeded(id, 2)}
	})
	_, err := session.Run(t.Context(), wire.Start{JobID: "1", Dir: dir}, patience, discard{})
	if err == nil || strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "job directory") {
		t.Errorf("got %v", err)
	}
}

func TestAMessageThatIsTooLargeEndsTheSessionAndIsBlamed(t *testing.T) {
	t.Parallel()
	session := lie(t, true, func(id string) []*message {
		return []*message{output(id, 1, "x", &processv1.Value{Kind: &processv1.Value_Data{Data: make([]byte, wire.MaxMessageBytes+1)}})}
	})
	_, err := session.Run(t.Context(), wire.Start{JobID: "1"}, patience, discard{})
	var lost *wire.LostError
	if !errors.As(err, &lost) || !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestPluginThatClosesTheSessionLosesIt(t *testing.T) {
	t.Parallel()
	l := &liar{session: func(s pluginStream) error {
		_, err := s.Recv()
		return err
	}}
	session := open(t, serveWith(t, func(s *grpc.Server) error {
		processv1.RegisterProcessServiceServer(s, l)
		return nil
	}))
	_, err := session.Run(t.Context(), wire.Start{JobID: "1"}, 0, discard{})
	var lost *wire.LostError
	if !errors.As(err, &lost) || !strings.Contains(err.Error(), "the plugin ended the session") {
		t.Errorf("got %v", err)
	}
}

// What arrived before the loss still counts.
func TestEndBeforeTheLossIsKept(t *testing.T) {
	t.Parallel()
	l := &liar{session: func(s pluginStream) error {
		frame, err := s.Recv()
		if err != nil {
			return err
		}
		id := frame.GetMessages()[0].GetJobId()
		return s.Send(&processv1.SessionResponse{Messages: []*message{output(id, 1, "x", jsonValue("1")), succeeded(id, 2)}})
	}}
	session := open(t, serveWith(t, func(s *grpc.Server) error {
		processv1.RegisterProcessServiceServer(s, l)
		return nil
	}))
	out, err := session.Run(t.Context(), wire.Start{JobID: "1"}, 0, discard{})
	if err != nil || string(out.Get("x").JSON) != "1" {
		t.Errorf("got %v, %v", out, err)
	}
}

// A plugin that does not read keeps no more than its own jobs waiting, and
// those can still be cancelled.
func TestDeafPluginBlocksNobodyForEver(t *testing.T) {
	t.Parallel()
	l := &liar{session: func(s pluginStream) error {
		<-s.Context().Done()
		return nil
	}}
	session := open(t, serveWith(t, func(s *grpc.Server) error {
		processv1.RegisterProcessServiceServer(s, l)
		return nil
	}))
	const jobs = 300
	ctx, cancel := context.WithCancelCause(t.Context())
	results := make(chan error, jobs)
	big := wire.ValuesOf(map[string]wire.Value{"x": {Data: make([]byte, 64<<10)}})
	for i := range jobs {
		go func() {
			_, err := session.Run(ctx, wire.Start{JobID: string(rune('a' + i)), Inputs: big}, 0, discard{})
			results <- err
		}()
	}
	eventually(t, "all jobs are in", func() bool { return session.InFlight() == jobs })
	cancel(errTest)
	for range jobs {
		if err := <-results; !errors.Is(err, errTest) {
			t.Error(err)
		}
	}
	session.Close()
}

func TestListWithABadDescriptionIsAnError(t *testing.T) {
	t.Parallel()
	conn := serveWith(t, func(s *grpc.Server) error {
		processv1.RegisterProcessServiceServer(s, &badList{})
		return nil
	})
	if _, err := wire.NewClient(conn).Processes(t.Context()); err == nil || !strings.Contains(err.Error(), "process 1: decode description") {
		t.Errorf("got %v", err)
	}
}

type badList struct {
	processv1.UnimplementedProcessServiceServer
}

func (badList) ListProcesses(context.Context, *processv1.ListProcessesRequest) (*processv1.ListProcessesResponse, error) {
	return &processv1.ListProcessesResponse{Processes: []*processv1.Process{{DescriptionJson: json.RawMessage(`[]`)}}}, nil
}
