package wire_test

import (
	"fmt"
	"strconv"
	"sync"
	"testing"

	"geomill/proto/processv1"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"pgregory.net/rapid"
)

// play is what the plugin of TestAnyInterleaving does: it waits for the starts
// of so many jobs and sends the frames.
type play struct {
	jobs   int
	frames [][]*message
}

func perform(plays <-chan play) func(pluginStream) error {
	return func(s pluginStream) error {
		for p := range plays {
			for started := 0; started < p.jobs; {
				frame, err := s.Recv()
				if err != nil {
					return err
				}
				started += len(frame.GetMessages())
			}
			for _, messages := range p.frames {
				if err := s.Send(&processv1.SessionResponse{Messages: messages}); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

// However the messages of jobs are mixed and cut into frames, each job gets
// its own outputs and its own end.
func TestAnyInterleavingGivesEachJobItsOwn(t *testing.T) {
	t.Parallel()
	plays := make(chan play)
	l := &liar{session: perform(plays)}
	session := open(t, serveWith(t, func(s *grpc.Server) error {
		processv1.RegisterProcessServiceServer(s, l)
		return nil
	}))
	t.Cleanup(func() { close(plays) })
	rapid.Check(t, func(t *rapid.T) {
		scripts, want := drawScripts(t)
		frames := interleave(t, scripts)
		plays <- play{jobs: len(scripts), frames: frames}
		var jobs sync.WaitGroup
		got := make([]string, len(scripts))
		for i := range scripts {
			jobs.Go(func() {
				out, err := session.Run(t.Context(), wire.Start{JobID: strconv.Itoa(i)}, 0, discard{})
				got[i] = outcome(out, err)
			})
		}
		jobs.Wait()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if n := session.InFlight(); n != 0 {
			t.Fatalf("%d jobs in flight", n)
		}
	})
}

func outcome(out wire.Values, err error) string {
	text := make(map[string]string, len(out))
	for _, v := range out {
		text[v.ID] = string(v.JSON)
	}
	return fmt.Sprint(text, err)
}

// drawScripts draws the messages of some jobs and how each job ends.
func drawScripts(t *rapid.T) (scripts [][]*message, want []string) {
	for i := range rapid.IntRange(1, 8).Draw(t, "jobs") {
		id, seq := strconv.Itoa(i), uint64(0)
		next := func() uint64 { seq++; return seq }
		var script []*message
		var outputs wire.Values
		for range rapid.IntRange(0, 6).Draw(t, "messages") {
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				script = append(script, progressed(id, next()))
			case 1:
				script = append(script, &message{JobId: id, Seq: next(), Kind: &processv1.PluginMessage_Log{Log: &processv1.Log{}}})
			case 2:
				name, value := fmt.Sprint("o", seq), fmt.Sprintf("[%d,%d]", i, seq)
				script = append(script, output(id, next(), name, jsonValue(value)))
				outputs = append(outputs, wire.Named{ID: name, Value: wire.Value{JSON: []byte(value)}})
			}
		}
		var err error
		if rapid.Bool().Draw(t, "fails") {
			err, outputs = &wire.Problem{Title: "failure of " + id}, nil
			problem := &processv1.Problem{Title: "failure of " + id}
			script = append(script, &message{JobId: id, Seq: next(), Kind: &processv1.PluginMessage_Failed{Failed: &processv1.Failed{Problem: problem}}})
		} else {
			script = append(script, succeeded(id, next()))
		}
		scripts, want = append(scripts, script), append(want, outcome(outputs, err))
	}
	return scripts, want
}

// interleave mixes the scripts, each in its order, and cuts them into frames.
func interleave(t *rapid.T, scripts [][]*message) (frames [][]*message) {
	left := make([][]*message, len(scripts))
	copy(left, scripts)
	var frame []*message
	for {
		var ready []int
		for i, script := range left {
			if len(script) > 0 {
				ready = append(ready, i)
			}
		}
		if len(ready) == 0 {
			return append(frames, frame)
		}
		i := rapid.SampledFrom(ready).Draw(t, "next")
		frame = append(frame, left[i][0])
		left[i] = left[i][1:]
		if rapid.Bool().Draw(t, "cut") {
			frames, frame = append(frames, frame), nil
		}
	}
}
