package manifest

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"geomill/sdk"
	"geomill/sdk/sdktest"
	"geomill/sdk/wire"

	"github.com/google/go-cmp/cmp"
)

// tool is a program that prints its arguments, a line each.
const tool = "#!/bin/sh\nfor a in \"$@\"; do printf '%s\\n' \"$a\"; done\n"

// only reads a manifest with one process, beside the program tool.
func only(t *testing.T, text string) sdk.Process {
	t.Helper()
	dir := t.TempDir()
	// A program that is open for writing does not start, and a fork for another test
	// keeps it open for a moment.
	syscall.ForkLock.RLock()
	err := os.WriteFile(filepath.Join(dir, "tool"), []byte(tool), 0o700)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	document := "processes: {p: {" + text + "}}"
	if strings.HasPrefix(text, "\n") {
		document = "processes:\n p:" + text
	}
	m, err := Read(strings.NewReader(document), "tools", dir)
	if err != nil {
		t.Fatal(err)
	}
	return m.Processes[0]
}

// echoing is a process whose output is the arguments of its command.
func echoing(t *testing.T, inputs, command string) sdk.Process {
	t.Helper()
	return only(t, "inputs: {"+inputs+"}, outputs: {said: {schema: {type: string}, from: stdout}}, command: [./tool, "+command+"]")
}

func TestInputsBecomeArguments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, schema, command string
		value                 any
		want                  []string
	}{
		{"text", "{type: string}", "{input: x}", "a b", []string{"a b"}},
		{"number", "{type: number}", "{input: x}", 2.5, []string{"2.5"}},
		{"number as it is written", "{type: number}", "{input: x}", json.RawMessage("12345678901234567890.10"), []string{"12345678901234567890.10"}},
		{"number below 0 that is expected", "{type: number, minimum: -90}", "{input: x}", -2.5, []string{"-2.5"}},
		{"items below 0 that are expected", "{type: array, items: {type: number, exclusiveMinimum: -180}}", "-te, {input: x, each: true}", []int{-1, 2}, []string{"-te", "-1", "2"}},
		{"number below 0 after a flag", "{type: number}", "{input: x, flag: -i}", -1, []string{"-i", "-1"}},
		{"number below 0 after a prefix", "{type: number}", "{input: x, prefix: --by=}", -1, []string{"--by=-1"}},
		{"@ after a prefix", "{type: string}", "{input: x, prefix: --mail=}", "@ada", []string{"--mail=@ada"}},
		{"lines", "{type: string}", "{input: x}", "a\n--b\r\n", []string{"a", "--b\r"}},
		{"a file beside the manifest", "{type: string}", "{input: x}, {beside: tool, prefix: --by=}", "a", []string{"a", "--by=DIR/tool"}},
		{"empty text", "{type: string}, minOccurs: 0", "a, '', b", nil, []string{"a", "", "b"}},
		{"number after a flag", "{type: number}", "{input: x, flag: -i}", 10, []string{"-i", "10"}},
		{"prefix", "{type: string}", "{input: x, prefix: --to=}", "-o", []string{"--to=-o"}},
		{"nothing to expand", "{type: string}", "'$(reboot); `x` *'", "a", []string{"$(reboot); `x` *"}},
		{"text that a shell would expand", "{type: string}", "{input: x}", "$(reboot); `x` *", []string{"$(reboot); `x` *"}},
		{"true", "{type: boolean}", "{input: x, flag: -v}", true, []string{"-v"}},
		{"false", "{type: boolean}", "a, {input: x, flag: -v}", false, []string{"a"}},
		{"array", "{type: array}", "{input: x}", []int{1, 2}, []string{"[1,2]"}},
		{"each item", "{type: array}", "{input: x, each: true, flag: -b}", []string{"a", "b"}, []string{"-b", "a", "-b", "b"}},
		{"items joined", "{type: array}", "{input: x, join: ',', prefix: --te=}", []int{1, 2}, []string{"--te=1,2"}},
		{"object", "{type: object}", "{input: x}", map[string]int{"a": 1}, []string{`{"a":1}`}},
		{"left out", "{type: string}, minOccurs: 0", "a, {input: x, flag: -i}", nil, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			inputs := map[string]any{}
			if c.value != nil {
				inputs["x"] = c.value
			}
			var said string
			sdktest.Run(t, echoing(t, "x: {schema: "+c.schema+"}", c.command), inputs).Decode("said", &said)
			said = regexp.MustCompile(`/[^\n]*/tool`).ReplaceAllString(said, "DIR/tool")
			if d := cmp.Diff(c.want, strings.Split(said, "\n")); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnInputCannotBecomeAnOption(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schema, command string
		value           any
	}{
		{"{type: string}", "{input: x}", "--config=/etc/passwd"},
		{"{type: string}", "{input: x, flag: -i}", "-rf"},
		{"{type: array}", "{input: x, each: true}", []string{"a", "-o"}},
		{"{type: array}", "{input: x, join: ' '}", []string{"-o", "b"}},
		{"{type: string}", "{input: x}", "a\x00b"},
		{"{type: string}", "{input: x, prefix: --to=}", "a\x00b"},
		{"{type: string}", "{input: x}", "-"},
		{"{type: string}", "{input: x}", "--"},
		{"{type: string}", "{input: x}", "-\n"},
		{"{type: string}", "{input: x}", "@options"},
		{"{type: string}", "{input: x, flag: -d}", "@/etc/passwd"},
		{"{type: integer}", "{input: x}", -9},
		{"{type: integer, minimum: 0}", "{input: x}", -9},
		{"{type: array}", "{input: x, each: true}", []int{1, -9}},
		{"{type: array}", "{input: x, join: ','}", []int{-9, 1}},
		{"{type: string}", "{input: x}", strings.Repeat("x", 1<<17)},
	} {
		r := sdktest.Run(t, echoing(t, "x: {schema: "+c.schema+"}", c.command), map[string]any{"x": c.value})
		p, ok := errors.AsType[*wire.Problem](r.Err)
		if !ok || p.Kind != wire.InvalidInput || p.Faults[0].Input != "x" {
			t.Errorf("%v: %v", c.value, r.Err)
		}
	}
}

func TestAVariableOfTheShellCannotBecomeAnOption(t *testing.T) {
	t.Parallel()
	p := only(t, `inputs: {x: {schema: {}}}, outputs: {said: {schema: {type: string}, from: stdout}}, shell: 'printf "%s" "$INPUT_X"'`)
	for _, value := range []any{"-la", "--", "@file", -9, "a\x00b"} {
		r := sdktest.Run(t, p, map[string]any{"x": value})
		if p, ok := errors.AsType[*wire.Problem](r.Err); !ok || p.Kind != wire.InvalidInput {
			t.Errorf("%v: %v", value, r.Err)
		}
	}
	for _, value := range []string{"$(echo no)", "`echo no`", "'; echo no; '", "a\n--b", "*"} {
		var said string
		sdktest.Run(t, p, map[string]any{"x": value}).Decode("said", &said)
		if said != value {
			t.Errorf("%q became %q", value, said)
		}
	}
}

func TestFilesReachACommandByTheirPaths(t *testing.T) {
	t.Parallel()
	p := only(t, `
  inputs:
    picture: {schema: {type: string, contentEncoding: base64, contentMediaType: image/png}}
    features: {schema: {type: object}}
  outputs:
    both: {schema: {type: string, contentMediaType: text/plain}, from: both.txt}
  shell: cat "$INPUT_PICTURE" > "$OUTPUT_BOTH"; printf '%s' "$INPUT_FEATURES" >> "$OUTPUT_BOTH"`)
	r := sdktest.Run(t, p, map[string]any{"picture": base64.StdEncoding.EncodeToString([]byte("png ")), "features": map[string]int{"a": 1}})
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if got := content(t, r.Outputs["both"]); got != `png {"a":1}` || r.Outputs["both"].MediaType() != "text/plain" {
		t.Errorf("%q of %s", got, r.Outputs["both"].MediaType())
	}

	p = only(t, `
  inputs:
    features: {schema: {type: object}}
    picture: {schema: {type: string, contentEncoding: base64, contentMediaType: image/png}}
  outputs: {said: {schema: {type: object}, from: copy.json}}
  command: [/bin/cp, {input: features, file: in.geojson}, {output: said}]`)
	var said map[string]int
	sdktest.Run(t, p, map[string]any{"features": map[string]int{"a": 7}, "picture": ""}).Decode("said", &said)
	if said["a"] != 7 {
		t.Errorf("%v", said)
	}
}

func content(t *testing.T, v sdk.Value) string {
	t.Helper()
	r, err := v.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b := make([]byte, 1000)
	n, _ := r.Read(b)
	return string(b[:n])
}

func TestStandardInputIsWhatAnInputSays(t *testing.T) {
	t.Parallel()
	p := only(t, `inputs: {lines: {schema: {type: string}}}, outputs: {sorted: {schema: {type: string}, from: stdout}}, stdin: lines, command: [sort, -u]`)
	var sorted string
	sdktest.Run(t, p, map[string]any{"lines": "b\na\nb\n"}).Decode("sorted", &sorted)
	if sorted != "a\nb" {
		t.Errorf("%q", sorted)
	}
}

func TestExitStatusesBecomeErrors(t *testing.T) {
	t.Parallel()
	p := only(t, `
  inputs: {how: {schema: {type: integer}}}
  outputs: {out: {schema: {type: string}, from: never.txt}}
  shell: echo "cannot $INPUT_HOW" >&2; exit "$INPUT_HOW"
  errors:
    2: {input: how, message: is too small}
    75: {retry: true}`)
	problem := func(how int) *wire.Problem {
		r := sdktest.Run(t, p, map[string]any{"how": how})
		problem, ok := errors.AsType[*wire.Problem](r.Err)
		if !ok {
			t.Fatalf("%d: %v", how, r.Err)
		}
		return problem
	}
	if p := problem(2); p.Kind != wire.InvalidInput || p.Faults[0].Message != "is too small" {
		t.Errorf("%+v", p)
	}
	if p := problem(75); !p.Retryable || !strings.Contains(p.Detail, "exit status 75: cannot 75") {
		t.Errorf("%+v", p)
	}
	if p := problem(3); p.Retryable || p.Kind != wire.ProcessFailed || !strings.Contains(p.Detail, "exit status 3: cannot 3") {
		t.Errorf("%+v", p)
	}
	if p := problem(0); !strings.Contains(p.Detail, "did not write the output out") {
		t.Errorf("%+v", p)
	}
}

func TestWhatCommandsLeaveInsteadOfFilesFailsWithASentence(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ outputs, shell, said string }{
		{"{schema: {type: string}, from: d}", "mkdir d", "something else than a file of the output out: d"},
		{"{schema: {type: string}, from: d}", "mkfifo d", "something else than a file of the output out: p"},
		{"{schema: {type: object}, from: d}", "mkfifo d", "something else than a file of the output out: p"},
		{"{schema: {type: string}, from: d}", "ln -s nowhere d", "did not write the output out"},
		{"{schema: {type: string}, from: stdout}", "sleep 10 &", "left something in the background that holds its output open"},
	} {
		t.Run(c.shell, func(t *testing.T) {
			t.Parallel()
			p := only(t, "outputs: {out: "+c.outputs+"}, shell: '"+c.shell+"'")
			problem, ok := errors.AsType[*wire.Problem](sdktest.Run(t, p, map[string]any{}).Err)
			if !ok || !strings.Contains(problem.Detail, c.said) {
				t.Errorf("%+v", problem)
			}
		})
	}
}

func TestProgressIsReadFromPiecesOfLines(t *testing.T) {
	t.Parallel()
	p := only(t, `outputs: {out: {schema: {type: string}, from: out.txt}}, progress: '(\d+)\.\.\.', shell: 'printf 0...10...; sleep 0.2; printf "20...\nreading\n" >&2; echo x > out.txt'`)
	var seen []float64
	r := sdktest.Run(t, p, map[string]any{}, sdktest.OnProgress(func(p sdktest.Progress) { seen = append(seen, p.Percent) }))
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	if !slices.Contains(seen, 20) {
		t.Errorf("progress %v", seen)
	}
	if len(r.Logs) != 1 || r.Logs[0].Message != "reading" {
		t.Errorf("log %+v", r.Logs)
	}
}

func TestACancelledCommandEndsWithAllThatItStarted(t *testing.T) {
	t.Parallel()
	p := only(t, `outputs: {out: {schema: {type: string}, from: stdout}}, progress: '(\d+)%', shell: 'echo 10% >&2; sleep 600 & sleep 600'`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begun := time.Now()
	r := sdktest.Run(t, p, map[string]any{}, sdktest.Context(ctx), sdktest.OnProgress(func(sdktest.Progress) { cancel() }))
	if !errors.Is(r.Err, context.Canceled) || time.Since(begun) > time.Minute {
		t.Errorf("%v after %s", r.Err, time.Since(begun))
	}
}

func FuzzRead(f *testing.F) {
	f.Add("processes: {p: {command: [ls, {input: x, flag: -l}], inputs: {x: {schema: {type: string}}}, outputs: {o: {from: stdout, schema: {}}}}}")
	f.Add("processes: {p: {shell: 'true', outputs: {o: {from: a/b}}, errors: {1: {retry: true}}}}")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Read(strings.NewReader(text), "fuzz", t.TempDir())
		if err == nil && len(m.Processes) == 0 {
			t.Error("no error and no process")
		}
	})
}

func TestATextIsNotLargerThanMemoryBears(t *testing.T) {
	t.Parallel()
	const of = `outputs: {o: {schema: {type: string%s}, from: big}}, command: [truncate, --size=1G, {output: o}]`
	r := sdktest.Run(t, only(t, strings.Replace(of, "%s", "", 1)), map[string]any{})
	if r.Err == nil || !strings.Contains(r.Err.Error(), "with a contentMediaType it may be of any size") {
		t.Errorf("%v", r.Err)
	}
	if r := sdktest.Run(t, only(t, strings.Replace(of, "%s", ", contentMediaType: text/plain", 1)), map[string]any{}); r.Err != nil {
		t.Errorf("%v", r.Err)
	}
}
