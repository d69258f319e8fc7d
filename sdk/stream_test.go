package sdk_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"geomill/sdk"
	"geomill/sdk/ogc"
	"geomill/sdk/sdktest"
	"geomill/sdk/wire"
)

type streamInputs struct {
	Data sdk.File `json:"data" jsonschema:"contentMediaType=text/csv"`
}

type streamOutputs struct {
	Copy  sdk.File `json:"copy" jsonschema:"contentMediaType=text/csv"`
	Lines int      `json:"lines"`
}

// upper reads and writes bit by bit.
func upper(job *sdk.Job, in streamInputs) (out streamOutputs, err error) {
	from, err := in.Data.Open()
	if err != nil {
		return out, err
	}
	defer from.Close()
	to, err := job.Create("copy-*.csv")
	if err != nil {
		return out, err
	}
	w := bufio.NewWriter(to)
	for lines := bufio.NewScanner(from); lines.Scan(); out.Lines++ {
		if _, err = w.WriteString(strings.ToUpper(lines.Text()) + "\n"); err != nil {
			break
		}
	}
	out.Copy.Path = to.Name()
	return out, errors.Join(err, w.Flush(), to.Close())
}

const line = "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,0,1,2,3,4,5\n" // 64 bytes

func writeLines(t *testing.T, n int) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "lines.csv")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for range n {
		_, _ = w.WriteString(line) // Flush has the error
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestFilesAreReadAndWrittenBitByBit(t *testing.T) {
	t.Parallel()
	r := sdktest.Run(t, sdk.New(sdk.Info{ID: "upper"}, upper), nil, sdktest.File("data", sdk.File{Path: writeLines(t, 3), MediaType: "text/csv"}))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	content, err := os.ReadFile(r.Outputs["copy"].Path())
	if want := strings.Repeat(strings.ToUpper(line), 3); err != nil || string(content) != want {
		t.Errorf("%q, %v", content, err)
	}
}

// TestALargeFileNeedsLittleMemory runs the process in a plugin of its own that may
// use 32 MiB. GEOMILL_TEST_BYTES says how large the file is.
func TestALargeFileNeedsLittleMemory(t *testing.T) {
	const limit = 32 << 20
	size := 64 << 20
	if text := os.Getenv("GEOMILL_TEST_BYTES"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOMEMLIMIT", strconv.Itoa(limit))
	i := launch(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "data")
	if err := os.Rename(writeLines(t, size/len(line)), name); err != nil {
		t.Fatal(err)
	}
	session, err := i.client.OpenSession(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	before := peak(t, i.cmd.Process.Pid)
	began := time.Now()
	start := wire.Start{JobID: "j", ProcessID: "upper", Attempt: 1, Dir: dir,
		Inputs: wire.Values{{ID: "data", Value: wire.Value{File: name, MediaType: "text/csv"}}}}
	outputs, err := session.Run(t.Context(), start, time.Second, events{})
	if err != nil {
		t.Fatal(err)
	}
	grown := peak(t, i.cmd.Process.Pid) - before
	t.Logf("%d MiB went in and out in %.1f s; the plugin grew by %.1f MiB to %.1f MiB",
		size>>20, time.Since(began).Seconds(), float64(grown)/(1<<20), float64(before+grown)/(1<<20))
	if got := outputs.Get("copy"); got.Size != int64(size/len(line)*len(line)) {
		t.Errorf("%d bytes came back", got.Size)
	}
	if grown > limit {
		t.Errorf("the plugin grew by %d bytes", grown)
	}
}

// peak is the most resident memory that a process has had, in bytes.
func peak(t *testing.T, pid int) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	text, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func TestOutputsAreHandedOverBeforeTheEnd(t *testing.T) {
	t.Parallel()
	type out struct {
		Early sdk.File `json:"early" jsonschema:"contentMediaType=text/plain"`
		Text  string   `json:"text"`
		Late  int      `json:"late"`
	}
	p := sdk.New(sdk.Info{ID: "p"}, func(job *sdk.Job, _ struct{}) (o out, err error) {
		f, err := job.Create("early-*")
		if err != nil {
			return o, err
		}
		_, err = f.WriteString("early")
		if err = errors.Join(err, f.Close()); err != nil {
			return o, err
		}
		if err := job.Output("early", sdk.File{Path: f.Name()}); err != nil {
			return o, err
		}
		if err := job.Output("text", strings.Repeat("x", 300<<10)); err != nil { // crosses as a file
			return o, err
		}
		if !job.Wants("text") {
			return out{Late: 7}, nil
		}
		for _, wrong := range []error{job.Output("text", "again"), job.Output("late", "text"), job.Output("other", 1)} {
			if wrong == nil {
				return o, errors.New("is taken")
			}
		}
		return out{Late: 7}, nil
	})
	r := sdktest.Run(t, p, nil)
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	var late int
	var text string
	r.Decode("late", &late)
	r.Decode("text", &text)
	content, err := os.ReadFile(r.Outputs["early"].Path())
	if late != 7 || len(text) != 300<<10 || string(content) != "early" || err != nil || len(r.Outputs) != 3 {
		t.Errorf("%d, %d bytes, %q, %v, %d outputs", late, len(text), content, err, len(r.Outputs))
	}
	if r = sdktest.Run(t, p, nil, sdktest.Outputs("late")); len(r.Outputs) != 1 {
		t.Errorf("%v, %v", r.Outputs, r.Err) // the others are passed over
	}
}

func TestRawProcessesHandOverTheirOutputs(t *testing.T) {
	t.Parallel()
	p := sdk.Raw(described("early", "late"), func(job *sdk.Job, _ map[string]sdk.Value) (map[string]sdk.Value, error) {
		v, err := sdk.JSONValue(1)
		if err != nil {
			return nil, err
		}
		if job.Output("other", v) == nil || job.Output("early", 1) == nil {
			return nil, errors.New("is taken")
		}
		return map[string]sdk.Value{"late": v}, job.Output("early", v)
	})
	if r := sdktest.Run(t, p, nil); r.Err != nil || len(r.Outputs) != 2 {
		t.Errorf("%v, %v", r.Outputs, r.Err)
	}
	again := sdk.Raw(described("early"), func(job *sdk.Job, _ map[string]sdk.Value) (map[string]sdk.Value, error) {
		v, err := sdk.JSONValue(1)
		return map[string]sdk.Value{"early": v}, errors.Join(err, job.Output("early", v))
	})
	if r := sdktest.Run(t, again, nil); r.Err == nil || !strings.Contains(r.Err.Error(), "was handed over already") {
		t.Errorf("%v", r.Err)
	}
}

func described(outputs ...string) ogc.Process {
	p := ogc.Process{ProcessSummary: ogc.ProcessSummary{ID: "p"}, Outputs: map[string]ogc.Output{}}
	for _, id := range outputs {
		p.Outputs[id] = ogc.Output{Schema: json.RawMessage(`{}`)}
	}
	return p
}
